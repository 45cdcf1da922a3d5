"""Byte-pair encoding in native code, over a table; what goes wrong there becomes the errors of the Python way."""

from __future__ import annotations

from gemsmith.errors import TokenizerError
from gemsmith.kernels import available, native
from gemsmith.tokenizer.bpe import SPACE, no_symbol
from gemsmith.tokenizer.table import Table

INT64 = 1 << 63


class NativeEncoder:
    """Encodes and decodes with a table; threads may share it, and run at the same time."""

    def __init__(self, table: Table):
        self._table = table
        try:
            self._native = native().TokenTable(table.buffer)
        except ValueError as cause:
            table.fail(str(cause))

    @staticmethod
    def is_available() -> bool:
        """Whether native code is built; which says nothing of any table."""
        return available()

    def encode(self, text: bytes) -> list[int]:
        """Ids of UTF-8 content, spaces as they are or already `▁`."""
        self._table.check()
        ids, problem, at = self._native.encode(text)
        if problem == "no symbol":
            character = text[at : at + 4].decode("utf-8", "ignore")[0]
            raise no_symbol(SPACE if character == " " else character)
        self._check(problem, f"on the text at byte {at}")
        return ids

    def written(self, ids: list[int], control: bool) -> bytes:
        """The bytes that `ids` write, control tokens spelled out if `control`."""
        self._table.check()
        try:
            data, problem, at = self._native.decode(ids, control)
        except TypeError:  # an id beyond 64 bits
            data, problem, at = b"", "no token", next(at for at, id in enumerate(ids) if not 0 <= id < INT64)
        if problem == "no token":
            most = self._table.num_tokens - 1
            raise TokenizerError(f"token id {ids[at]} is not in this vocabulary, whose ids are 0 to {most}")
        self._check(problem, f"on id {ids[at] if ids else 0}")
        return data

    def _check(self, problem: str, where: str) -> None:
        if problem:
            self._table.fail(f"is {problem}, which shows {where}")
