"""Files opened once and checked by descriptor, and files that appear whole or not at all.

A path is looked up a single time: everything after that speaks to the descriptor, so a file swapped or
re-linked meanwhile changes nothing. Only regular files are read; a pipe or a device is refused without waiting.
The floor below everything: which exception a bad file becomes is the caller's to say, in `error`.
"""

from __future__ import annotations

import json
import mmap
import os
import stat
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

Error = Callable[[str], Exception]  # makes the exception to raise from a sentence

_READ_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@contextmanager
def regular_file(path: Path, error: Error) -> Iterator[tuple[BinaryIO, int]]:
    """A regular file, open for reading, and its size; `error` if there is none, or it is something else."""
    try:
        fd = os.open(path, _READ_FLAGS)
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or str(cause)
        raise error(f"cannot open {path}: {reason}; check the path and its permissions") from cause
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise error(f"{path} is not a regular file; name the file itself, not a folder, pipe or device")
        with os.fdopen(fd, "rb", closefd=False) as file:
            yield file, status.st_size
    finally:
        os.close(fd)


def read_bytes(path: Path, limit: int, error: Error) -> bytes:
    """The content of a regular file of at most `limit` bytes; a larger one is not read."""
    with regular_file(path, error) as (file, size):
        if size > limit:
            raise error(f"{path} has {size} bytes, more than the {limit} such a file may have; is it the right one?")
        return file.read(limit)  # and not what is appended meanwhile


class MappedFile(mmap.mmap):
    """The bytes of a file as read-only pages, which are the file itself: whoever shortens it takes them away.

    The system answers a look at pages that are gone by ending the process (SIGBUS), and Python cannot catch that.
    `check` tells of it beforehand, for some microseconds. A file that is replaced, not rewritten, stays as it was.
    """

    path: Path
    _error: Error
    _fd: int
    _state: tuple[int, int]

    @classmethod
    def of(cls, file: BinaryIO, size: int, path: Path, error: Error) -> MappedFile:
        """Map an open file; it may be closed afterwards."""
        self = cls(file.fileno(), size, access=mmap.ACCESS_READ)
        self.path, self._error, self._fd = path, error, os.dup(file.fileno())
        weakref.finalize(self, os.close, self._fd).atexit = False
        self._state = self._seen()
        return self

    def fileno(self) -> int:
        """The descriptor of the file, for who reads parts of it by position; open as long as this is."""
        return self._fd

    def use_huge_pages(self) -> None:
        """Ask for pages of 2 MB, which large tensors are read through up to a third faster.

        Advice: Linux takes it for files whose pages are not yet in memory, on file systems with large folios.
        """
        if hasattr(mmap, "MADV_HUGEPAGE"):
            with suppress(OSError):  # a kernel built without them
                self.madvise(mmap.MADV_HUGEPAGE)

    def release(self, start: int, stop: int) -> None:
        """Give pages back: mapped pages that were looked at count as memory in use until somebody else wants it."""
        if hasattr(mmap, "MADV_DONTNEED"):
            start -= start % mmap.PAGESIZE
            self.madvise(mmap.MADV_DONTNEED, start, stop - start)

    def check(self) -> None:
        """Raise if the file has been written to or cut since it was mapped."""
        if self._seen() != self._state:
            raise self._error(
                f"{self.path} was changed while the model ran from it, so its answers can no longer be trusted; load"
                " the model again, and replace files by renaming instead of writing into them"
            )

    def is_whole(self) -> bool:
        """Whether the file is still as long as it was."""
        return self._seen()[0] >= len(self)

    def _seen(self) -> tuple[int, int]:
        status = os.fstat(self._fd)
        return status.st_size, status.st_mtime_ns


def mapped_file(path: Path, error: Error) -> memoryview:
    """The bytes of a regular file as read-only pages; unmapped when the last view of them is gone."""
    with regular_file(path, error) as (file, size):
        if size == 0:
            return memoryview(b"")
        try:
            return memoryview(MappedFile.of(file, size, path, error))
        except (OSError, ValueError, OverflowError) as cause:
            raise error(
                f"cannot map {path} ({size} bytes): {cause}; is it being written, or on a full machine?"
            ) from cause


@contextmanager
def atomic_file(path: Path, mode: int | None = None) -> Iterator[BinaryIO]:
    """A file to write that takes the name `path` only once all of it is on the disk; `mode` 0o600 keeps it private."""
    import tempfile

    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fsync(fd)
        # mkstemp's 0600 would hide a model from its other users
        os.chmod(temporary, 0o666 & ~umask() if mode is None else mode)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_file(path) as file:
        file.write(text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole or not at all, indented as Hugging Face files are."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def sync_folder(folder: Path) -> None:
    """Make new names in `folder` survive a power cut, where the system has a way to (Windows has none)."""
    if os.name != "posix":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def umask() -> int:
    """Permissions that this process withholds from new files; the system tells only whoever sets them."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
