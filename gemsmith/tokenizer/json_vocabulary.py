"""The vocabulary in a tokenizer.json, read and written.

It takes the one form Gemma has: BPE over characters, spaces as `▁`, bytes for unknown characters. Any other pipeline is
refused by name, because reading it as this one would give wrong ids without a word.
Format: `tokenizers` 0.23, serialised; what GemmaTokenizer of `transformers` 5.23 writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from reprlib import repr as shown  # short, however large or deep the value
from typing import Any, NoReturn

from gemsmith.errors import TokenizerError
from gemsmith.files import read_bytes
from gemsmith.tokenizer.bpe import SPACE
from gemsmith.tokenizer.control import CONTROL_TEXTS
from gemsmith.tokenizer.vocabulary import MAX_TOKENS, Vocabulary

MAX_BYTES = 1 << 26  # Gemma's own is 32 MB
MAX_VALUES = 1 << 22  # … of 1.8 million commas and brackets: what bounds the memory that reading it takes
NORMALIZER = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
PRE_TOKENIZER = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
DECODER = {
    "type": "Sequence",
    "decoders": [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ],
}
MODEL_OFF = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges")  # features Gemma has not
PLACES = ("single_word", "lstrip", "rstrip")  # conditions on what surrounds a token found whole


def read(path: Path) -> Vocabulary:
    """The vocabulary of the tokenizer.json at `path`."""
    return _Reader(path).vocabulary()


def write(vocabulary: Vocabulary) -> dict[str, Any]:
    """The content of a tokenizer.json that reads back as `vocabulary`."""
    tokens = vocabulary.tokens
    special = vocabulary.special | {id for id, text in enumerate(tokens) if text in CONTROL_TEXTS}
    added = {id: _added_token(id, tokens[id], special=True) for id in special}
    added |= {id: _added_token(id, text) for text, id in vocabulary.whole.items() if id not in special}
    added |= {
        id: _added_token(id, text, normalized=True)
        for text, id in vocabulary.whole_normalized.items()
        if id not in special
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added[id] for id in sorted(added)],
        "normalizer": NORMALIZER,
        "pre_tokenizer": PRE_TOKENIZER,
        "post_processor": None,
        "decoder": DECODER,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>" if "<unk>" in tokens else None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": vocabulary.byte_fallback,
            "ignore_merges": False,
            "vocab": {text: id for id, text in enumerate(tokens)},
            "merges": [merge.split(" ", 1) for merge in vocabulary.merges],
        },
    }


def _added_token(id: int, text: str, *, special: bool = False, normalized: bool = False) -> dict[str, Any]:
    places = dict.fromkeys(PLACES, False)
    return {"id": id, "content": text, **places, "normalized": normalized, "special": special}


class _Reader:
    """One tokenizer.json and the complaints about it."""

    def __init__(self, path: Path):
        self.path = path
        self.file = self._load()
        self.model = self._object(self.file.get("model"), "model")

    def vocabulary(self) -> Vocabulary:
        self._check_pipeline()
        vocab = self._object(self.model.get("vocab"), "model.vocab")
        if len(vocab) > MAX_TOKENS:
            self._fail(f"has {len(vocab):,} tokens, where gemsmith takes {MAX_TOKENS:,}")
        ids = {text: self._id(id, text) for text, id in vocab.items()}
        added = [self._object(item, "an entry of added_tokens") for item in self._list(self.file, "added_tokens")]
        for item in added:
            text = self._text(item.get("content"), "the content of an added token")
            if ids.setdefault(text, self._id(item.get("id"), text)) != item["id"]:
                self._fail(f"gives {shown(text)} the ids {ids[text]} and {item['id']}")
        ordinary = [item for item in added if not self._flag(item, "special")]
        return Vocabulary(
            source=str(self.path),
            tokens=self._by_id(ids),
            merges=[self._merge(merge) for merge in self._list(self.model, "merges")],
            special=frozenset(item["id"] for item in added if item.get("special")),
            whole=self._whole(item for item in ordinary if not self._flag(item, "normalized")),
            whole_normalized=self._whole(item for item in ordinary if item.get("normalized")),
            byte_fallback=self._flag(self.model, "byte_fallback"),
        )

    def _load(self) -> dict[str, Any]:
        data = read_bytes(self.path, MAX_BYTES, TokenizerError)
        if sum(map(data.count, (b",", b"[", b"{"))) > MAX_VALUES:
            self._fail(f"holds more than {MAX_VALUES:,} values")
        try:
            return self._object(json.loads(data, object_pairs_hook=_unique), "the file")
        except RecursionError:
            self._fail("is nested too deeply")
        except ValueError as error:  # malformed JSON or malformed UTF-8
            self._fail(f"is not JSON: {error}")

    def _check_pipeline(self) -> None:
        normalizer, splitter = self.file.get("normalizer"), self.file.get("pre_tokenizer")
        if isinstance(normalizer, dict) and normalizer.get("type") == "Sequence":
            steps = self._list(normalizer, "normalizers")
            normalizer = steps[0] if len(steps) == 1 else normalizer
        if self.model.get("type", "BPE") != "BPE":
            self._not_gemma("model.type", self.model["type"], "BPE")
        if normalizer != NORMALIZER:
            self._not_gemma("normalizer", normalizer, NORMALIZER)
        if splitter is not None and splitter != PRE_TOKENIZER:  # which finds nothing: no space is left to split at
            self._not_gemma("pre_tokenizer", splitter, PRE_TOKENIZER)
        for name in MODEL_OFF:
            if self.model.get(name):
                self._not_gemma(f"model.{name}", self.model[name], None)

    def _by_id(self, ids: Mapping[str, int]) -> list[str]:
        """Texts by id: every id from 0 up, each once."""
        texts = {id: text for text, id in ids.items()}
        if len(texts) != len(ids):
            twice = next(text for text, id in ids.items() if texts[id] != text)
            self._fail(f"gives the id {ids[twice]} to both {shown(twice)} and {shown(texts[ids[twice]])}")
        if texts and max(texts) >= len(texts):
            self._fail(f"has the id {max(texts)} among {len(texts)} tokens; ids must be 0 to {len(texts) - 1}")
        try:
            "".join(ids).encode()
        except UnicodeEncodeError:
            self._fail("has a token with half a character (a lone surrogate)")
        return [texts[id] for id in range(len(texts))]

    def _whole(self, items: Any) -> dict[str, int]:
        for item in (items := list(items)):
            for name in PLACES:
                if self._flag(item, name):
                    self._not_gemma(f"{name} of the added token {shown(item['content'])}", True, False)
        return {item["content"]: item["id"] for item in items}

    def _merge(self, merge: Any) -> str:
        """A merge is "left right" in older files, and [left, right] in newer ones."""
        if isinstance(merge, list) and len(merge) == 2 and all(isinstance(part, str) for part in merge):
            merge = " ".join(merge)
        if not isinstance(merge, str) or merge.count(" ") != 1:
            self._fail(f"has the merge {shown(merge)}, which is not two texts without spaces")
        return merge

    def _id(self, id: Any, text: str) -> int:
        if type(id) is not int or id < 0:
            self._fail(f"gives {shown(text)} the id {shown(id)}, which is not a whole number from 0 up")
        return id

    def _text(self, value: Any, what: str) -> str:
        if not isinstance(value, str) or not value:
            self._fail(f"has {shown(value)} for {what}, which is not a text")
        return value

    def _object(self, value: Any, what: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._fail(f"has {shown(value)} for {what}, which is not an object")
        return value

    def _list(self, owner: Mapping[str, Any], name: str) -> list[Any]:
        value = owner.get(name) or []
        if not isinstance(value, list):
            self._fail(f"has {shown(value)} for {name}, which is not a list")
        return value

    def _flag(self, owner: Mapping[str, Any], name: str) -> bool:
        value = owner.get(name, False)
        if not isinstance(value, bool):
            self._fail(f"has {shown(value)} for {name}, which is neither true nor false")
        return value

    def _not_gemma(self, what: str, found: Any, expected: Any) -> NoReturn:
        self._fail(f"has {shown(found)} for {what} where Gemma has {shown(expected)}; it belongs to another model")

    def _fail(self, problem: str) -> NoReturn:
        raise TokenizerError(
            f"{self.path} cannot be used: it {problem}. Use the tokenizer.json of a Gemma 4 checkpoint"
        )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's pairs; a key that stands twice would be one thing to us and perhaps another to the next reader."""
    if len(out := dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return out
