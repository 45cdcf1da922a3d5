"""Every byte of a pack against the sums in its header; in pieces, so that it takes no memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from os import PathLike
from pathlib import Path

from gemsmith.errors import TensorFileError
from gemsmith.files import MappedFile, regular_file
from gemsmith.formats.pack.head import PAGE
from gemsmith.formats.pack.open import Pack, PackedView, open_pack
from gemsmith.formats.pack.small_files import check_small_files
from gemsmith.tokenizer.table import FILE_NAME as TOKENIZER_TABLE
from gemsmith.tokenizer.table import open_table

Progress = Callable[[int, int], None]  # done, of how many

_PIECE = 1 << 22  # bytes looked at together: whole huge pages


def verify_pack(path: str | PathLike[str], progress: Progress | None = None) -> Pack:
    """Open a pack and compare all of it with its checksums.

    TensorFileError names the damaged tensors; ModelFileError for a damaged file beside, TokenizerError for a table.
    """
    pack = open_pack(path)
    assert pack.path is not None
    if (table := path_of_table(pack)) is not None:
        open_table(table).verify()
    check_small_files(pack.path, pack.sums or {})
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
    assert pack.file is not None
    bad, done, total = [], 0, sum(_stored_bytes(view) for view in views)
    _forget_pages(views[0].path)
    for view in views:
        if _sum_of(pack.file, view) != view.sha256:
            bad.append(view.name)
        done += _stored_bytes(view)
        if progress:
            progress(done, total)
    return bad


def _sum_of(file: MappedFile, view: PackedView) -> str:
    """Through the mapping that the engine will use: so the pages that stay in memory are as large as it asked for."""
    total, end = hashlib.sha256(), min(view.file_offset + _stored_bytes(view), len(file))
    for start in range(view.file_offset, end, _PIECE):
        stop = min(start + _PIECE, end)
        if not file.is_whole():
            break  # cut short meanwhile: the sum will be another
        total.update(memoryview(file)[start:stop])
        file.release(start, stop)
    return total.hexdigest()


def _stored_bytes(view: PackedView) -> int:
    """Bytes of a tensor in the file, padding included."""
    nbytes = view.buffer.nbytes
    return nbytes if view.arrangement in ("vector", "plain") else nbytes + -nbytes % PAGE


def _forget_pages(path: Path) -> None:
    """Ask for what is on the disk, not for what was lately written and is still in memory."""
    if hasattr(os, "posix_fadvise"):
        with regular_file(path, TensorFileError) as (file, _):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
