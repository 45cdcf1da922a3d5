"""Write a pack: tensor by tensor, slab by slab, whole or not at all.

Everything is written into a hidden folder beside the target, read back and compared with its sums, and then takes the
target's name. Memory stays at some tens of megabytes whatever the model's size: see `source.SLAB_VALUES`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from gemsmith.errors import ModelFileError
from gemsmith.files import atomic_file, sync_folder, umask, write_json, write_text
from gemsmith.formats.header import Entry
from gemsmith.formats.pack.content import content
from gemsmith.formats.pack.head import PACK_FILE, UNKNOWN_SUM, Described, entries_of, header_of
from gemsmith.formats.pack.open import Pack, open_pack
from gemsmith.formats.pack.plan import PackedTensor, all_packed_tensors
from gemsmith.formats.pack.policy import tensor_formats
from gemsmith.formats.pack.source import PackSource
from gemsmith.formats.pack.verify import verify_pack
from gemsmith.tokenizer import load_tokenizer
from gemsmith.tokenizer.table import FILE_NAME as TOKENIZER_TABLE
from gemsmith.tokenizer.table_writer import write_table

Progress = Callable[[str, int, int], None]  # "packing" or "verifying", done, of how many

FILES = (PACK_FILE, "config.json", "generation_config.json", "tokenizer.json", TOKENIZER_TABLE, "chat_template.jinja")


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

    `threads`: all of the machine's, unless given. An existing folder is refused, unless it is empty, or a pack and
    `replace` is given. ModelFileError names the tensor and the place of a NaN or an infinity; whatever is raised,
    nothing half-written is left.
    """
    folder = Path(folder)
    check_target(folder, replace=replace)
    tensors = all_packed_tensors(source.config)
    dtypes = {part: source[part].dtype for tensor in tensors for part in tensor.parts}
    formats = tensor_formats(source.config, policy, dtypes)
    entries = entries_of(tensors, formats)
    with _telling_disk_errors(folder), _stage(folder) as stage:
        _check_room(stage, entries[-1].stop, folder)
        with atomic_file(stage / PACK_FILE) as file:
            _write_tensors(file, source, policy, entries, {t.name: t for t in tensors}, formats, threads, progress)
        _write_small_files(stage, source)
        told = (lambda done, total: progress("verifying", done, total)) if progress else None
        verify_pack(stage, told)
    return open_pack(folder)


def check_target(folder: Path, *, replace: bool) -> None:
    """ModelFileError unless a pack may be written here."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ModelFileError(f"{folder} is a file; name a folder to pack into")
    names = {entry.name for entry in folder.iterdir()}
    if foreign := sorted(names - set(FILES)):
        raise ModelFileError(f"{folder} holds other files ({foreign[0]}); choose a new folder to pack into")
    if names and PACK_FILE not in names:
        raise ModelFileError(f"{folder} exists and is no pack; choose a new folder to pack into")
    if names and not replace:
        raise ModelFileError(f"{folder} holds a pack already; choose another folder, or replace it with --force")


def _write_tensors(
    file: BinaryIO,
    source: PackSource,
    policy: str,
    entries: list[Entry],
    tensors: dict[str, PackedTensor],
    formats: dict[str, str],
    threads: int | None,
    progress: Progress | None,
) -> None:
    described = {name: _described(tensor, formats[name], UNKNOWN_SUM) for name, tensor in tensors.items()}
    file.write(header_of(entries, policy, described))
    done, total = 0, sum(len(t.parts) * _count(t.shape) for t in tensors.values())
    for entry in entries:
        digest, written = hashlib.sha256(), 0
        for piece, numbers in content(tensors[entry.name], formats[entry.name], source, threads or os.cpu_count() or 1):
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
    file.write(header_of(entries, policy, described))


def _described(tensor: PackedTensor, format: str, sha256: str) -> Described:
    return Described(format, tensor.arrangement, tensor.rows, tensor.cols, tensor.count, sha256)


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _write_small_files(stage: Path, source: PackSource) -> None:
    if source.tokenizer_path is not None:
        _write_tokenizer(stage, source.tokenizer_path)
    if source.generation_config is not None:
        write_json(stage / "generation_config.json", dict(source.generation_config))
    if source.chat_template is not None:
        write_text(stage / "chat_template.jinja", source.chat_template)
    config = dict(source.config.to_json())
    config.pop("auto_map", None)  # names code that is not copied, and that nobody should run
    write_json(stage / "config.json", config)


def _write_tokenizer(stage: Path, path: Path) -> None:
    """The vocabulary as a table; the tokenizer.json too, for those who look for one (a GGUF file has none)."""
    vocabulary, nbytes = load_tokenizer(path).vocabulary, 0
    if path.suffix == ".json":
        shutil.copyfile(path, stage / "tokenizer.json")
        nbytes = (stage / "tokenizer.json").stat().st_size
    write_table(stage / TOKENIZER_TABLE, vocabulary, nbytes)


def _check_room(stage: Path, nbytes: int, folder: Path) -> None:
    free = shutil.disk_usage(stage).free
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


@contextmanager
def _stage(folder: Path) -> Iterator[Path]:
    """A hidden folder to fill beside `folder`, which takes its name when the block ends well."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    old = stage.with_name(f"{stage.name}.old")
    try:
        yield stage
        stage.chmod(0o777 & ~umask())
        if folder.exists():  # two names cannot be exchanged in one step everywhere; the old pack is whole meanwhile
            os.replace(folder, old)
        os.replace(stage, folder)
        sync_folder(folder.parent)
    except BaseException:
        if old.exists() and not folder.exists():
            os.replace(old, folder)
        raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
