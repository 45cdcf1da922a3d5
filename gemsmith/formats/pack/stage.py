"""The hidden folder that a pack is written into, beside the folder whose name it takes when it is whole.

Packing takes minutes, and a folder may have got other contents meanwhile: it is looked at again before the exchange.
Whoever writes holds a lock on the hidden folder, which the system takes back from a program that was killed. So the
next one that packs into the same place knows what nobody works on any more, and sweeps it away.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gemsmith.errors import ModelFileError
from gemsmith.files import sync_folder, umask
from gemsmith.formats.pack.head import PACK_FILE
from gemsmith.formats.pack.small_files import SMALL_FILES

FILES = (PACK_FILE, *SMALL_FILES)


def check_target(folder: Path, *, replace: bool) -> None:
    """ModelFileError unless a pack may be written here."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ModelFileError(f"{folder} is a file; name a folder to pack into")
    if os.path.samefile(folder, "."):
        raise ModelFileError(f"{folder} is the current folder; name a new one in it to pack into")
    if os.path.ismount(folder):
        raise ModelFileError(f"{folder} is where a disk is mounted; name a new folder on it to pack into")
    _check_content(folder, folder, replace=replace)


def _check_content(found: Path, folder: Path, *, replace: bool) -> None:
    names = {entry.name for entry in found.iterdir()}
    if foreign := sorted(names - set(FILES)):
        raise ModelFileError(f"{folder} holds other files ({foreign[0]}); choose a new folder to pack into")
    if names and PACK_FILE not in names:
        raise ModelFileError(f"{folder} exists and is no pack; choose a new folder to pack into")
    if names and not replace:
        raise ModelFileError(f"{folder} holds a pack already; choose another folder, or replace it with --force")


@contextmanager
def stage(folder: Path, *, replace: bool) -> Iterator[Path]:
    """A hidden folder to fill beside `folder`, whose name it takes when the block ends well."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    made, lock = _made(folder)
    try:
        yield made
        made.chmod(0o777 & ~umask())
        _exchange(made, folder, replace=replace)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _exchange(made: Path, folder: Path, *, replace: bool) -> None:
    check_target(folder, replace=replace)
    if folder.exists() and any(folder.iterdir()):
        _replace_pack(made, folder)
        return
    if os.name == "nt" and folder.exists():
        folder.rmdir()
    try:
        os.replace(made, folder)  # onto nothing or an empty folder: the system refuses any other
    except OSError:
        check_target(folder, replace=replace)  # which tells what came there in this moment
        raise


def _replace_pack(made: Path, folder: Path) -> None:
    """Two names cannot be exchanged in one step everywhere; the old pack is whole meanwhile."""
    old = made.with_name(f"{made.name}.old")
    try:
        os.replace(folder, old)
        _check_content(old, folder, replace=True)  # now that nobody finds it: what is thrown away is a pack
        os.replace(made, folder)
    except BaseException:
        if old.exists() and not folder.exists():
            os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _made(folder: Path) -> tuple[Path, int | None]:
    """A new hidden folder, and the lock on it (None where there are none)."""
    while True:
        made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_prefix(folder)))
        try:
            lock = _lock(made)
        except (BlockingIOError, FileNotFoundError):  # swept between these two lines
            continue
        except OSError:  # a file system without locks
            return made, None
        if made.exists():
            return made, lock
        if lock is not None:
            os.close(lock)


def _sweep(folder: Path) -> None:
    """Throw away what programs that were killed have left of packing into this folder."""
    with suppress(OSError):
        for entry in [entry for entry in folder.parent.iterdir() if entry.name.startswith(_prefix(folder))]:
            if entry.name.endswith(".old") and not (folder / PACK_FILE).is_file():
                continue  # killed in the moment of the exchange: the only pack there is
            with suppress(OSError):
                if (lock := _lock(entry)) is not None:
                    shutil.rmtree(entry, ignore_errors=True)
                    os.close(lock)


def _prefix(folder: Path) -> str:
    return f".{folder.name}.packing-"


def _lock(folder: Path) -> int | None:
    """Hold a folder until the descriptor is closed; None on a system without, OSError if it cannot be had."""
    if sys.platform == "win32":
        return None
    import fcntl

    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(fd)
        raise
    return fd
