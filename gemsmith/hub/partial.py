"""A file that is being fetched: its bytes so far on disk, and the sum of exactly these.

Every byte goes to the system at once, so that a killed process loses none that it had written; the sum is made along
the way, so that a whole file need not be read again. The file is known to be right only after `verify`.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from gemsmith.hub.repository import RemoteFile

READ_BYTES = 1 << 20


class Partial:
    """The beginning of `file` at `path`; a context, in which the file is open."""

    def __init__(self, path: Path, file: RemoteFile) -> None:
        self.path, self.file = path, file
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        self._fd = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o666)
        try:
            self._digest, self.size = self._read()
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> Partial:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._fd)

    @property
    def missing(self) -> int:
        """Bytes still to come."""
        return self.file.size - self.size

    @property
    def sum(self) -> str:
        """The sum of what is here."""
        return str(self._digest.hexdigest())

    def write(self, piece: bytes) -> int:
        """Append what fits into the file's size; return how much that was."""
        view = memoryview(piece)[: self.missing]
        rest = view
        while rest:
            written = os.write(self._fd, rest)
            self._digest.update(rest[:written])
            self.size += written
            rest = rest[written:]
        return len(view)

    def clear(self) -> int:
        """Throw away what is here; return how much that was."""
        before = self.size
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._digest, self.size = new_digest(self.file), 0
        return before

    def sync(self) -> None:
        """Wait until the disk has it all."""
        os.fsync(self._fd)

    def _read(self) -> tuple[Any, int]:
        """Take up what an earlier attempt left; more than the whole is nothing anyone could use."""
        digest, size = new_digest(self.file), 0
        if os.fstat(self._fd).st_size > self.file.size:
            os.ftruncate(self._fd, 0)
        while piece := os.read(self._fd, READ_BYTES):
            digest.update(piece)
            size += len(piece)
        return digest, size


def new_digest(file: RemoteFile) -> Any:
    """What makes the sum that the Hub gives for a file: SHA-256, or git's SHA-1, which begins with a header."""
    if len(file.sum) == 64:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)


def sum_of(path: Path, file: RemoteFile) -> str:
    """The sum of a whole file on disk."""
    digest = new_digest(file)
    with path.open("rb") as opened:
        while piece := opened.read(READ_BYTES):
            digest.update(piece)
    return str(digest.hexdigest())
