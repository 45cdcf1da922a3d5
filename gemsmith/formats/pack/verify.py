"""Every byte of a pack against the sums in its header; read through the file, so that it takes no memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from os import PathLike
from pathlib import Path

from gemsmith.errors import TensorFileError
from gemsmith.files import regular_file
from gemsmith.formats.pack.head import PAGE
from gemsmith.formats.pack.open import Pack, PackedView, open_pack
from gemsmith.tokenizer.table import FILE_NAME as TOKENIZER_TABLE
from gemsmith.tokenizer.table import open_table

Progress = Callable[[int, int], None]  # done, of how many

_PIECE = 1 << 22  # bytes read at a time


def verify_pack(path: str | PathLike[str], progress: Progress | None = None) -> Pack:
    """Open a pack and compare all of it with its checksums.

    TensorFileError names the damaged tensors; TokenizerError for a damaged table.
    """
    pack = open_pack(path)
    if (table := path_of_table(pack)) is not None:
        open_table(table).verify()
    if bad := damaged(pack, progress):
        names = f"{', '.join(bad[:3])}{', …' * (len(bad) > 3)}"
        raise TensorFileError(
            f"{pack.path} is damaged: {len(bad)} tensor{'s' * (len(bad) > 1)} not as written ({names}); pack the model"
            " again, and look at the disk and the memory of this machine"
        )
    return pack


def path_of_table(pack: Pack) -> Path | None:
    """The tokenizer's table, which has sums of its own."""
    table = pack.path / TOKENIZER_TABLE if pack.path else None
    return table if table and table.exists() else None


def damaged(pack: Pack, progress: Progress | None = None) -> list[str]:
    """The tensors of a pack whose bytes are not those that were written, by name."""
    views = sorted(pack.tensors.values(), key=lambda view: view.file_offset)
    assert views and views[0].path is not None, "a pack in memory has no sums"
    bad, done, total = [], 0, sum(_stored_bytes(view) for view in views)
    with regular_file(views[0].path, TensorFileError) as (file, _):
        _forget_pages(file.fileno())
        for view in views:
            if _sum_of(file.fileno(), view) != view.sha256:
                bad.append(view.name)
            done += _stored_bytes(view)
            if progress:
                progress(done, total)
    return bad


def _sum_of(fd: int, view: PackedView) -> str:
    total, at, left = hashlib.sha256(), view.file_offset, _stored_bytes(view)
    while left:
        os.lseek(fd, at, os.SEEK_SET)
        piece = os.read(fd, min(left, _PIECE))
        if not piece:
            break  # cut short meanwhile: the sum will be another
        total.update(piece)
        at, left = at + len(piece), left - len(piece)
    return total.hexdigest()


def _stored_bytes(view: PackedView) -> int:
    """Bytes of a tensor in the file, padding included."""
    nbytes = view.buffer.nbytes
    return nbytes if view.arrangement in ("vector", "plain") else nbytes + -nbytes % PAGE


def _forget_pages(fd: int) -> None:
    """Ask for what is on the disk, not for what was lately written and is still in memory."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
