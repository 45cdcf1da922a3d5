"""Packs made at first use and kept in this program's cache folder, so that the next start maps what is there.

A pack belongs to files by their identity (device, inode, size, time of the last change); one made from files that have
changed since is made anew, and takes the old one's place. The folder may be deleted at any time. Whoever makes a pack
holds the folder's lock: a second program waits, and finds the pack there. What a killed program left is swept away.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gemsmith.errors import GemsmithError, ModelFileError
from gemsmith.formats.pack import PACK_FILE, Pack, PackSource, open_pack, pack_in_memory, planned_sizes, write_pack
from gemsmith.hub.places import shown
from gemsmith.hub.report import size
from gemsmith.tokenizer.kept_tables import identity, tables_folder

IN_MEMORY = 256 << 20  # bytes of a model's files: up to here packing takes less than a second or two, each time
SAY_EVERY_S = 5.0
BESIDE = ("config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja", "chat_template.json")
LOCK = ".lock"


@dataclass(frozen=True)
class Job:
    """What is about to be packed, where to, and how large it will be."""

    name: str
    folder: Path
    nbytes: int

    def __str__(self) -> str:
        return f"packing {self.name} for the native engine, once: {size(self.nbytes)} into {shown(self.folder)}"


def ended(seconds: float) -> str:
    """What a report says at the end."""
    return f"packed in {seconds:.0f} s; from now on it starts at once"


class Report(Protocol):
    """Whom packing tells what happens."""

    def begin(self, job: Job) -> None:
        """It begins."""

    def note(self, text: str) -> None:
        """Something a person should know."""

    def move(self, what: str, done: int, total: int) -> None:
        """So far it is, with "packing" or "verifying"."""

    def end(self, job: Job) -> None:
        """The pack is there, and its sums are right."""


class Lines:
    """Plain lines every few seconds on stderr, for pipes, logs and notebooks."""

    def __init__(self) -> None:
        self._began = self._said = time.monotonic()

    def begin(self, job: Job) -> None:
        """Say what happens."""
        self._began = self._said = time.monotonic()
        self.note(str(job))

    def note(self, text: str) -> None:
        """Say it."""
        print(text, file=sys.stderr, flush=True)

    def move(self, what: str, done: int, total: int) -> None:
        """Say how far it is, if that was not just said."""
        if (now := time.monotonic()) - self._said >= SAY_EVERY_S:
            self._said = now
            self.note(f"{what}: {done / max(total, 1):.0%}")

    def end(self, job: Job) -> None:
        """Say that it is done."""
        self.note(ended(time.monotonic() - self._began))


def packed(source: PackSource, path: Path, report: Report | None = None) -> Pack:
    """The model `source` at `path`, in its own types: a small one in memory, else from the cache, made if need be.

    ModelFileError where the pack cannot be written; whatever is raised, nothing half-written is left.
    """
    kept = kept_folder(path)
    if kept is None:
        return pack_in_memory(source, "exact")
    if (pack := kept_pack(path)) is not None:
        return pack
    report = report or Lines()
    job = Job(path.name, kept.parent, planned_sizes(source, "exact").file)
    with _alone(job, path, report) as is_alone:
        if (pack := kept_pack(path)) is not None:  # another program made it meanwhile
            return pack
        if is_alone:
            _sweep(kept)
        _check_room(job, path)
        report.begin(job)
        try:
            write_pack(kept, source, "exact", replace=kept.exists(), progress=report.move)
        except ModelFileError as error:
            if isinstance(error.__cause__, OSError):
                raise _unwritable(job, path, str(error.__cause__.strerror or error.__cause__)) from error
            raise
        report.end(job)
        _forget_older(kept, path)
        return open_pack(kept)


def kept_pack(path: Path) -> Pack | None:
    """The pack that is kept of the model at `path`; None where there is none, or none that can be opened."""
    if not is_kept(path):
        return None
    folder = kept_folder(path)
    assert folder is not None
    try:
        return open_pack(folder)
    except GemsmithError:  # of an older version, or not whole
        return None


def is_kept(path: Path) -> bool:
    """Whether a pack of the model at `path` is in the cache folder."""
    folder = kept_folder(path)
    return folder is not None and (folder / PACK_FILE).is_file()


def kept_folder(path: Path) -> Path | None:
    """Where the pack of the model at `path` is kept, or will be; None for a small one, which is packed each time."""
    folder, (weights, beside) = packs_folder(), _files(path)
    if folder is None or sum(file.stat().st_size for file in weights) <= IN_MEMORY:
        return None
    first, *others = (identity(file) for file in (*weights, *beside))
    more = f"-{hashlib.sha256(' '.join(others).encode()).hexdigest()[:16]}" if others else ""
    return folder / f"{_stem(weights[0])}-{first}{more}"


def _stem(path: Path) -> str:
    """The beginning of a file's name, for a person's eyes: names end at 255 bytes, and hidden folders are swept."""
    return os.fsencode(path.stem)[:60].decode("utf-8", "ignore").lstrip(".")


def packs_folder() -> Path | None:
    """Where packs are kept, whether or not there is such a folder; None where there is no home to keep them in."""
    tables = tables_folder()
    return tables.with_name("packs") if tables is not None else None


def kept_packs() -> dict[Path, int]:
    """The packs that are kept, with the bytes of each."""
    folder = packs_folder()
    found = sorted(folder.glob(f"*/{PACK_FILE}")) if folder is not None else []
    return {file.parent: sum(each.stat().st_size for each in file.parent.iterdir()) for file in found}


def _files(path: Path) -> tuple[list[Path], list[Path]]:
    """A model's weights, and what else its pack is made from."""
    if path.suffix == ".gguf":
        return [path], []
    folder = path if path.is_dir() else path.parent
    weights = [path] if path.suffix == ".safetensors" else sorted(folder.glob("*.safetensors"))
    return weights, [folder / name for name in BESIDE if (folder / name).is_file()]


@contextmanager
def _alone(job: Job, path: Path, report: Report) -> Iterator[bool]:
    """Nobody else makes a pack meanwhile. False where the file system has no locks: then each makes its own."""
    from filelock import FileLock, Timeout

    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(job.folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            report.note(f"another gemsmith is packing in {shown(job.folder)}; waiting for it")
            lock.acquire(poll_interval=0.2)
    except NotImplementedError:
        yield False
        return
    except OSError as cause:
        raise _unwritable(job, path, cause.strerror or str(cause)) from cause
    try:
        yield True
    finally:
        lock.release()


def _check_room(job: Job, path: Path) -> None:
    free = shutil.disk_usage(job.folder).free
    if job.nbytes > free:
        raise _unwritable(job, path, f"it takes {size(job.nbytes)}, and {size(free)} are free there")


def _unwritable(job: Job, path: Path, why: str) -> ModelFileError:
    return ModelFileError(
        f"{job.name} is packed once for the native engine, and that pack cannot be kept in {shown(job.folder)}: {why}."
        " Nothing was left behind. Make room there, or set GEMSMITH_HOME (or XDG_CACHE_HOME) to a folder on another"
        " disk, or pack it where you like and run that:"
        f" gemsmith quantize {shlex.quote(str(path))} --to exact --output FOLDER"
    )


def _sweep(kept: Path) -> None:
    """Throw away what killed programs have begun, and a pack that cannot be opened; only for who holds the lock."""
    for entry in kept.parent.iterdir():
        if entry.is_dir() and (entry.name.startswith(".") or entry == kept):
            shutil.rmtree(entry, ignore_errors=True)


def _forget_older(kept: Path, path: Path) -> None:
    """Throw away packs of the same file as it was before."""
    first = _files(path)[0][0]
    same = f"{_stem(first)}-{'-'.join(identity(first).split('-')[:2])}-"
    for entry in kept.parent.iterdir():
        if entry.name.startswith(same) and entry.name != kept.name:
            shutil.rmtree(entry, ignore_errors=True)
