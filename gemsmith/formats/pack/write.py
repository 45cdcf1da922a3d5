"""Write a pack: tensor by tensor, slab by slab, whole or not at all.

Everything is written into a hidden folder beside the target, read back and compared with its sums, and then takes the
target's name. Memory stays at some tens of megabytes whatever the model's size: see `source.SLAB_VALUES`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from gemsmith import kernels
from gemsmith.errors import ModelFileError
from gemsmith.files import atomic_file
from gemsmith.formats.header import Entry
from gemsmith.formats.pack.content import content
from gemsmith.formats.pack.head import PACK_FILE, UNKNOWN_SUM, Described, entries_of, header_of
from gemsmith.formats.pack.open import Pack, open_pack
from gemsmith.formats.pack.plan import PackedTensor, all_packed_tensors
from gemsmith.formats.pack.policy import tensor_formats
from gemsmith.formats.pack.small_files import write_small_files
from gemsmith.formats.pack.source import PackSource
from gemsmith.formats.pack.stage import check_target, stage
from gemsmith.formats.pack.verify import verify_pack

Progress = Callable[[str, int, int], None]  # "packing" or "verifying", done, of how many


def write_pack(
    folder: str | PathLike[str],
    source: PackSource,
    policy: str,
    *,
    replace: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Pack:
    """Pack a model into `folder` and return it, opened and verified.

    `threads`: one for each core that this process may use, unless given. An existing folder is refused, unless it is
    empty, or a pack and `replace` is given. ModelFileError names the tensor and the place of a NaN or an infinity;
    whatever is raised, nothing half-written is left.
    """
    given, folder = folder, Path(os.path.realpath(folder))  # behind a link is what is replaced, not the link
    check_target(folder, replace=replace)
    tensors = all_packed_tensors(source.config)
    dtypes = {part: source[part].dtype for tensor in tensors for part in tensor.parts}
    formats = tensor_formats(source.config, policy, dtypes)
    entries = entries_of(tensors, formats)
    with _telling_disk_errors(folder), stage(folder, replace=replace) as made:
        _check_room(made, entries[-1].stop, folder)
        sums = write_small_files(made, source)
        with atomic_file(made / PACK_FILE) as file:
            _write_tensors(
                file, source, policy, entries, {t.name: t for t in tensors}, formats, sums, threads, progress
            )
        told = (lambda done, total: progress("verifying", done, total)) if progress else None
        verify_pack(made, told)
    return open_pack(given)


def _write_tensors(
    file: BinaryIO,
    source: PackSource,
    policy: str,
    entries: list[Entry],
    tensors: dict[str, PackedTensor],
    formats: dict[str, str],
    sums: dict[str, str],
    threads: int | None,
    progress: Progress | None,
) -> None:
    threads = threads or (kernels.native().default_threads() if kernels.available() else 1)  # numpy's twin takes one
    described = {name: _described(tensor, formats[name], UNKNOWN_SUM) for name, tensor in tensors.items()}
    file.write(header_of(entries, policy, described, sums))
    done, total = 0, sum(len(t.parts) * _count(t.shape) for t in tensors.values())
    for entry in entries:
        digest, written = hashlib.sha256(), 0
        for piece, numbers in content(tensors[entry.name], formats[entry.name], source, threads):
            digest.update(piece.data)
            written += file.write(piece.data)
            done += numbers
            if progress:
                progress("packing", done, total)
        rest = bytes(entry.stop - entry.start - written)
        assert written == tensors[entry.name].nbytes(formats[entry.name]), (entry, written)
        digest.update(rest)
        file.write(rest)
        described[entry.name] = described[entry.name]._replace(sha256=digest.hexdigest())
    file.seek(0)
    file.write(header_of(entries, policy, described, sums))


def _described(tensor: PackedTensor, format: str, sha256: str) -> Described:
    return Described(format, tensor.arrangement, tensor.rows, tensor.cols, tensor.count, sha256)


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _check_room(made: Path, nbytes: int, folder: Path) -> None:
    free = shutil.disk_usage(made).free
    if nbytes > free:
        raise ModelFileError(
            f"the pack takes {nbytes / 1e9:.2f} GB, but where {folder} would lie {free / 1e9:.2f} GB are free; free"
            " some space, or name a folder on another disk"
        )


@contextmanager
def _telling_disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # whoever was told of the progress is gone
        raise
    except OSError as cause:
        raise ModelFileError(
            f"cannot write the pack {folder}: {cause.strerror or cause}; nothing was left behind. Make room, or name a"
            " folder on another disk"
        ) from cause
