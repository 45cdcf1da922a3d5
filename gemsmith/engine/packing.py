"""Packs made at first use and kept in this program's cache folder, so that the next start maps what is there.

A pack belongs to a file by its identity (device, inode, size, time of the last change); one made from a file that has
changed since is made anew. The folder may be deleted at any time.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from gemsmith.errors import GemsmithError
from gemsmith.formats.pack import Pack, PackSource, open_pack, pack_in_memory, write_pack
from gemsmith.tokenizer.kept_tables import identity, tables_folder

IN_MEMORY = 256 << 20  # bytes of a model's files: up to here packing takes less than a second or two, each time
SAY_EVERY_S = 2.0


def packed(source: PackSource, file: Path, nbytes: int) -> Pack:
    """The model `source`, whose weights are `nbytes` of `file`, in its own types: from memory, or from the cache."""
    folder = packs_folder()
    if nbytes <= IN_MEMORY or folder is None:
        return pack_in_memory(source, "exact")
    kept = folder / f"{file.stem[:60]}-{identity(file)}"
    try:
        return open_pack(kept)
    except GemsmithError:  # not there yet, or not whole
        kept.parent.mkdir(parents=True, exist_ok=True)
        progress = _Lines(file.name)
        write_pack(kept, source, "exact", replace=kept.exists(), progress=progress)
        progress.end(kept)
        return open_pack(kept)


def packs_folder() -> Path | None:
    """Where packs are kept, whether or not there is such a folder; None where there is no home to keep them in."""
    tables = tables_folder()
    return tables.with_name("packs") if tables is not None else None


class _Lines:
    """Progress for whoever waits: a line every few seconds on stderr, none where it is quick."""

    def __init__(self, name: str):
        self._name, self._next, self._has_spoken = name, time.monotonic() + SAY_EVERY_S, False

    def __call__(self, what: str, done: int, total: int) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + SAY_EVERY_S
        self._has_spoken = True
        print(f"{what} {self._name} for the native engine, once: {100 * done // max(total, 1)} %", file=sys.stderr)

    def end(self, folder: Path) -> None:
        if self._has_spoken:
            print(f"kept in {folder}", file=sys.stderr)
