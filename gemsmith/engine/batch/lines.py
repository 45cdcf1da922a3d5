"""The lines of an input file, one at a time, each of bounded length; and whether a file is still what it was.

Lines end with a line feed, as JSON Lines have it. Blank ones are skipped, but count for the numbers of the others. A
longer line than may be is read past in pieces and comes without its bytes, so that a file of any size, of a single line
even, takes no more memory than one line may have.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_LINE_BYTES = 16 << 20  # some four million tokens
PIECE = 1 << 20
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Line:
    """A line that is not blank. Numbers start with 1; `data` is None where it is too long."""

    number: int
    data: bytes | None


class Lines:
    """Iterates over the lines of an open file, at most `limit` of them, and sums up what was read."""

    def __init__(self, file: BinaryIO, limit: int | None = None) -> None:
        self._file, self._limit = file, limit
        self._sum = hashlib.sha256()
        self.count = 0

    def __iter__(self) -> Iterator[Line]:
        number = 0
        while self.count != self._limit and (first := self._file.readline(MAX_LINE_BYTES + 1)):
            number += 1
            rest = self._skip_rest(first)
            if number == 1:
                first = first.removeprefix(BOM)
            if rest is None and not first.strip():
                continue
            self.count += 1
            self._sum.update(b"%d " % number + first + (rest or b""))
            yield Line(number, None if rest else first.strip(b" \t\r\n"))

    def _skip_rest(self, first: bytes) -> bytes | None:
        """Read what is left of a line that is too long: its sum; None where nothing is left."""
        if len(first) <= MAX_LINE_BYTES:
            return None
        rest, piece = hashlib.sha256(), first
        while not piece.endswith(b"\n") and (piece := self._file.readline(PIECE)):
            rest.update(piece)
        return rest.digest()

    @property
    def sha256(self) -> str:
        """The sum of the lines so far and of their numbers; blank lines behind the last one change nothing."""
        return self._sum.hexdigest()


@dataclass(frozen=True)
class Scan:
    """What a file holds, before anything is answered."""

    count: int
    sha256: str
    size: int
    modified_ns: int


def scan(file: BinaryIO, limit: int | None = None) -> Scan:
    """Read a file once from the start to know how much there is to do; leave it at the start."""
    before = os.fstat(file.fileno())
    lines = Lines(file, limit)
    for _ in lines:
        pass
    file.seek(0)
    return Scan(lines.count, lines.sha256, before.st_size, before.st_mtime_ns)
