"""Files opened once and checked by descriptor, and files that appear whole or not at all.

A path is looked up a single time: everything after that speaks to the descriptor, so a file swapped or
re-linked meanwhile changes nothing. Only regular files are read; a pipe or a device is refused without waiting.
"""

from __future__ import annotations

import json
import mmap
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from gemsmith.config.document import parse_document
from gemsmith.errors import ModelFileError

MAX_TEXT_BYTES = 4 << 20  # the index of a checkpoint with a tensor for every expert is about 1.5 MB
_READ_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@contextmanager
def regular_file(path: Path, error: type[ModelFileError] = ModelFileError) -> Iterator[tuple[int, int]]:
    """Descriptor and size of a regular file; `error` if there is none, or it is something else."""
    try:
        fd = os.open(path, _READ_FLAGS)
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or str(cause)
        raise error(f"cannot open {path}: {reason}; check the path and its permissions") from cause
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise error(f"{path} is not a regular file; name the file itself, not a folder, pipe or device")
        yield fd, status.st_size
    finally:
        os.close(fd)


def mapped_file(path: Path, error: type[ModelFileError] = ModelFileError) -> memoryview:
    """The bytes of a regular file as read-only pages; unmapped when the last view of them is gone."""
    with regular_file(path, error) as (fd, size):
        if size == 0:
            return memoryview(b"")
        try:
            return memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_READ))
        except (OSError, ValueError, OverflowError) as cause:
            raise error(
                f"cannot map {path} ({size} bytes): {cause}; is it being written, or on a full machine?"
            ) from cause


def read_text(path: Path) -> str:
    """A small UTF-8 file."""
    try:
        return _read_small(path).decode("utf-8")
    except UnicodeDecodeError as cause:
        raise ModelFileError(f"{path} is not UTF-8 text ({cause}); download it again") from cause


def read_json_object(path: Path) -> dict[str, Any]:
    """A JSON object of bounded size and depth, without repeated keys; ConfigError if the text is not one."""
    return parse_document(_read_small(path), str(path))


def _read_small(path: Path) -> bytes:
    with regular_file(path) as (fd, size), os.fdopen(os.dup(fd), "rb") as file:
        if size > MAX_TEXT_BYTES:
            raise ModelFileError(f"{path} has {size} bytes, the limit is {MAX_TEXT_BYTES}; is it the right file?")
        return file.read(MAX_TEXT_BYTES)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the name `path` only once all of it is on the disk."""
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fsync(fd)
        os.chmod(temporary, 0o666 & ~umask())  # mkstemp's 0600 would hide the model from its other users
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
