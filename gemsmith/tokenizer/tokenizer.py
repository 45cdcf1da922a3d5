"""Text to token ids and back, for one vocabulary.

`encode` is for content and never yields a control token, whatever the text spells: control ids are put between
contents by the chat renderer. It adds no `<bos>`. The reference is GemmaTokenizer of `transformers`: spaces become `▁`,
tokens that the file wants found whole are, and the rest is byte-pair encoded, with bytes for unknown characters.
A literal `▁` in a text is a space from there on, as in the reference.

Byte-pair encoding is done by `bpe.py`, which is the definition, or natively over a table, which gives the same ids.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from operator import index
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gemsmith.errors import MessageError, TokenizerError
from gemsmith.tokenizer import gguf_vocabulary, json_vocabulary
from gemsmith.tokenizer.bpe import SPACE, BytePairEncoder
from gemsmith.tokenizer.control import is_control
from gemsmith.tokenizer.native import NativeEncoder
from gemsmith.tokenizer.table import Table
from gemsmith.tokenizer.vocabulary import Vocabulary, merge_ranks, token_ids

BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Tokenizer:
    """Encodes content and decodes ids with one vocabulary; threads may share it."""

    def __init__(self, vocabulary: Vocabulary, table: Table | None = None):
        """Natively over `table`, which must be that vocabulary's; without one, in Python."""
        self.vocabulary = vocabulary
        self.vocab_size = len(vocabulary.tokens)
        self._native = None if table is None else NativeEncoder(table)
        self._plain, control, self.max_characters = _plainly(vocabulary) if table is None else _of_table(table)
        self.control: Mapping[str, int] = MappingProxyType(control)
        self.control_ids = frozenset(control.values())
        self._whole = _Whole(vocabulary.whole, control)
        self._whole_normalized = _Whole(vocabulary.whole_normalized, control)
        self._written: dict[int, bytes] = {}

    @classmethod
    def from_tokenizer_json(cls, path: Path) -> Tokenizer:
        """The tokenizer of a Hugging Face checkpoint."""
        return cls(json_vocabulary.read(Path(path)))

    @classmethod
    def from_gguf(cls, path: Path) -> Tokenizer:
        """The tokenizer in the metadata of a GGUF file, with or without weights."""
        return cls(gguf_vocabulary.read(Path(path)))

    @classmethod
    def from_table(cls, table: Table) -> Tokenizer:
        """The tokenizer of a table: there at once where native code is built, and else read as other files are."""
        return cls(table.vocabulary, table if NativeEncoder.is_available() else None)

    def to_tokenizer_json(self) -> dict[str, Any]:
        """The content of a tokenizer.json that `tokenizers`, `transformers` and we load."""
        return json_vocabulary.write(self.vocabulary)

    def encode(self, text: str) -> list[int]:
        """Ids of content. None of them is a control id, even where the text spells a control token."""
        data = _utf8(text)
        if self._native and not self._whole and not self._whole_normalized:
            return self._native.encode(data)  # which takes spaces for `▁` itself
        ids: list[int] = []
        for piece, whole_id in self._whole.split(text):
            ids += self._encode_normalized(piece.replace(" ", SPACE)) if whole_id is None else [whole_id]
        return ids

    def least_tokens(self, num_characters: int) -> int:
        """Fewer tokens than these hold no text of so many characters: known at once, where encoding takes long."""
        return -(-num_characters // self.max_characters)

    def _encode_normalized(self, text: str) -> list[int]:
        ids: list[int] = []
        for piece, whole_id in self._whole_normalized.split(text):
            ids += self._merged(piece) if whole_id is None else [whole_id]
        return ids

    def _merged(self, piece: str) -> list[int]:
        if self._native:
            return self._native.encode(piece.encode())
        assert self._plain
        return self._plain.encode(piece)

    def control_id(self, text: str) -> int:
        """The id of a control token, by its text."""
        if text not in self.control:
            raise TokenizerError(
                f"the vocabulary of {self.vocabulary.source} has no control token {text!r}; use the tokenizer of a"
                " Gemma 4 checkpoint that has it"
            )
        return self.control[text]

    def token(self, id: int) -> str:
        """The text of an entry as the vocabulary spells it: `▁the`, `<0x0A>`, `<|turn>`."""
        if not 0 <= id < self.vocab_size:
            raise TokenizerError(f"token id {id} is not in this vocabulary, whose ids are 0 to {self.vocab_size - 1}")
        return self.vocabulary.tokens[id]

    def token_bytes(self, id: int) -> bytes:
        """The bytes a token adds to a text, which may be less than a character; none for control tokens."""
        written = self._written.get(id)
        if written is None:
            written = self._written[id] = b"" if id in self.control_ids else _bytes(self.token(id))
        return written

    def decode(self, ids: Iterable[int], *, control: bool = False) -> str:
        """The text of `ids`; bytes that are no UTF-8 become U+FFFD. `control` spells control tokens out."""
        if self._native:
            return self._native.written([*map(index, ids)], control).decode("utf-8", "replace")
        write = self._spelled_bytes if control else self.token_bytes
        return b"".join(map(write, ids)).decode("utf-8", "replace")

    def _spelled_bytes(self, id: int) -> bytes:
        return self.token(id).encode() if id in self.control_ids else self.token_bytes(id)


class _Whole:
    """Tokens to be found whole in a text: the leftmost first, and of those that begin there, the longest."""

    def __init__(self, whole: Mapping[str, int], control: Mapping[str, int]):
        self._ids = {text: id for text, id in whole.items() if text not in control}
        texts = sorted(self._ids, key=len, reverse=True)
        self._find = re.compile(f"({'|'.join(map(re.escape, texts))})") if texts else None

    def __bool__(self) -> bool:
        return self._find is not None

    def split(self, text: str) -> list[tuple[str, int | None]]:
        """Pieces of `text` in order, each with its id if it is such a token, or None if it lies between."""
        if self._find is None:
            return [(text, None)]
        pieces = self._find.split(text)  # odd places are what the pattern found
        return [(piece, self._ids[piece] if at % 2 else None) for at, piece in enumerate(pieces) if piece]


def _plainly(vocabulary: Vocabulary) -> tuple[BytePairEncoder | None, dict[str, int], int]:
    """What encodes a vocabulary in Python, its control tokens, and the characters of its longest ordinary token."""
    ids = token_ids(vocabulary)
    control = {text: id for text, id in ids.items() if id in vocabulary.special or is_control(text)}
    for text in control:
        del ids[text]  # from here on no text leads to a control id
    encoder = BytePairEncoder(ids, merge_ranks(vocabulary, ids, control), vocabulary.byte_fallback)
    return encoder, control, max(map(len, ids), default=1)  # that one token can stand for


def _of_table(table: Table) -> tuple[BytePairEncoder | None, dict[str, int], int]:
    return None, table.control, table.max_characters


def _bytes(text: str) -> bytes:
    byte = BYTE_TOKEN.fullmatch(text)
    return bytes([int(byte[1], 16)]) if byte else text.replace(SPACE, " ").encode()


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise MessageError(
            f"text holds a lone surrogate, U+{ord(text[error.start]):04X} at character {error.start}, which is half a"
            " character; read the text with errors='replace', or join the halves as UTF-16"
        ) from None
