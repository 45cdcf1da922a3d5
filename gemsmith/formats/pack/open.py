"""A pack, opened: config, and views of the mapped file. Nothing is copied, nothing as large as a tensor is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from gemsmith.config.model import ModelConfig
from gemsmith.errors import ModelFileError, TensorFileError, TensorMismatchError
from gemsmith.files import MappedFile, mapped_file
from gemsmith.formats.files import read_json_object, read_text
from gemsmith.formats.header import Entry
from gemsmith.formats.pack.head import PACK_FILE, PAGE, Described, read_header, stored_as
from gemsmith.formats.pack.plan import PackedTensor, all_packed_tensors, is_head
from gemsmith.formats.pack.policy import FLOATS
from gemsmith.formats.pack.small_files import TINY, check_small_files
from gemsmith.formats.tensor import TensorView
from gemsmith.quant import FORMATS, PLANES, ROW_FORMATS
from gemsmith.tokenizer.table import FILE_NAME as TOKENIZER_TABLE

ALLOWED: dict[str, tuple[str, ...]] = {
    "rows": FORMATS,
    "interleaved": FORMATS,
    "stacked": FORMATS,
    "table": ROW_FORMATS,
    "vector": ("f32",),
    "plain": FLOATS,
}
OF_HEAD = (*FORMATS, PLANES)


@dataclass(frozen=True, eq=False)
class PackedView:
    """One tensor of a pack. `buffer` has its bytes without the padding after them; see `plan.py` for the rest."""

    name: str
    format: str
    arrangement: str
    rows: int
    cols: int
    count: int
    shape: tuple[int, ...]  # of a vector or plain tensor: its own; else of a part in the released file
    buffer: memoryview = field(repr=False)
    file_offset: int  # of the buffer, for those who read by themselves; 0 in memory
    path: Path | None  # None in memory
    sha256: str = ""  # of its bytes in the file, padding included; empty in memory

    def as_released(self) -> TensorView:
        """A vector or plain tensor for a reader of checkpoints."""
        assert self.arrangement in ("vector", "plain"), self
        return TensorView(self.name, self.shape, self.format.upper(), self.buffer)


@dataclass(frozen=True, eq=False)
class Pack:
    """A packed checkpoint, from a folder or in memory."""

    path: Path | None  # the folder
    config: ModelConfig
    generation_config: Mapping[str, Any] | None
    tokenizer_path: Path | None
    chat_template: str | None
    policy: str
    tensors: Mapping[str, PackedView] = field(repr=False)
    sums: Mapping[str, str] | None = None  # SHA-256 of its small files; packs of earlier versions have none
    file: MappedFile | None = field(default=None, repr=False)  # its `check` tells of a file that is written to

    def senses(self) -> dict[str, TensorView]:
        """The senses' tensors by released name."""
        return {name: view.as_released() for name, view in self.tensors.items() if view.arrangement == "plain"}

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(view.buffer.nbytes for view in self.tensors.values())


def is_pack(path: Path) -> bool:
    """Whether this is the folder, or the file, of a pack."""
    return path.name == PACK_FILE or (path / PACK_FILE).is_file()


def open_pack(path: str | PathLike[str]) -> Pack:
    """Open a pack's folder, or its model.gemsmith.safetensors with config.json beside it.

    Raises ModelFileError (TensorFileError for a damaged header, a cut file or a tensor in the wrong place,
    TensorMismatchError for tensors that are not the config's), also for a config or template that is not as packed.
    The tensors' own bytes and the tokenizer's are `verify_pack`'s to check.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    if not (folder / PACK_FILE).exists():
        raise ModelFileError(f"{path} holds no {PACK_FILE}; make a pack of a model: gemsmith quantize MODEL")
    file = folder / PACK_FILE
    data = mapped_file(file, TensorFileError)
    if isinstance(data.obj, MappedFile):
        data.obj.use_huge_pages()
    entries, policy, described, sums, start = read_header(data, str(file))
    check_small_files(folder, sums or {}, TINY)
    config = ModelConfig.load(folder / "config.json")
    planned = {tensor.name: tensor for tensor in all_packed_tensors(config)}
    _check_names(planned, entries, described, str(file))
    views = {}
    for entry in entries:
        said = described[entry.name]
        _check_tensor(planned[entry.name], entry, said, start, str(file))
        at = start + entry.start
        buffer = data[at : at + planned[entry.name].nbytes(said.format)]
        views[entry.name] = PackedView(
            entry.name, *said[:5], planned[entry.name].shape, buffer, at, file, sha256=said.sha256
        )
    return Pack(
        path=folder,
        config=config,
        generation_config=_json(folder / "generation_config.json"),
        tokenizer_path=next((p for p in (folder / "tokenizer.json", folder / TOKENIZER_TABLE) if p.exists()), None),
        chat_template=_text(folder / "chat_template.jinja"),
        policy=policy,
        tensors={name: views[name] for name in planned},
        sums=sums,
        file=data.obj if isinstance(data.obj, MappedFile) else None,
    )


def _check_names(
    planned: Mapping[str, PackedTensor], entries: list[Entry], described: Mapping[str, Described], source: str
) -> None:
    stored = {entry.name for entry in entries}
    missing = [name for name in planned if name not in described or name not in stored]
    unexpected = sorted((stored | described.keys()) - planned.keys())
    if missing or unexpected:
        raise TensorMismatchError(source, missing=missing, unexpected=unexpected)


def _check_tensor(tensor: PackedTensor, entry: Entry, said: Described, start: int, source: str) -> None:
    """The header's two accounts of a tensor, held against each other and against the config."""
    allowed = OF_HEAD if is_head(tensor.name) else ALLOWED[tensor.arrangement]
    if said.arrangement != tensor.arrangement or said.format not in allowed:
        raise TensorFileError(
            f"{source} has tensor {tensor.name} as {said.arrangement[:20]!r} in {said.format[:20]!r}, expected"
            f" {tensor.arrangement!r} in {' or '.join(allowed)}; pack the model again"
        )
    wanted = (tensor.rows, tensor.cols, tensor.count)
    if (said.rows, said.cols, said.num_matrices) != wanted:
        raise TensorMismatchError(source, misshaped=[f"{tensor.name} {list(said[2:5])} instead of {list(wanted)}"])
    if (entry.dtype, entry.shape) != stored_as(tensor, said.format)[:2]:
        raise TensorFileError(
            f"{source} stores tensor {tensor.name} as {entry.dtype} {list(entry.shape)}, its format {said.format} asks"
            f" for {' '.join(map(str, stored_as(tensor, said.format)[:2]))}; pack the model again"
        )
    if entry.dtype == "U8" and (start + entry.start) % PAGE:
        raise TensorFileError(
            f"{source} has tensor {tensor.name} at byte {start + entry.start}, which is no multiple of {PAGE}; pack the"
            " model again"
        )


def _json(path: Path) -> dict[str, Any] | None:
    return read_json_object(path) if path.exists() else None


def _text(path: Path) -> str | None:
    return read_text(path) if path.exists() else None
