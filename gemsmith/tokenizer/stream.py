"""Tokens to text as they are generated, without ever splitting a character.

A token may write part of a character (byte tokens do), so bytes wait here until a character is complete.
Law: what `push` and `finish` return, joined, is `tokenizer.decode(ids)`.
"""

from __future__ import annotations

import codecs

from gemsmith.tokenizer.tokenizer import Tokenizer


class StreamDecoder:
    """Decodes one stream of ids; each stream has its own."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, id: int) -> str:
        """The text completed by `id`: "" while a character is incomplete, and for control tokens."""
        return self._characters.decode(self._tokenizer.token_bytes(id))

    def finish(self) -> str:
        """U+FFFD if a character is left unfinished, else ""; ready for another stream afterwards."""
        rest = self._characters.decode(b"", final=True)
        self._characters.reset()
        return rest
