"""What `load` would do with a model here, and what that takes: told from headers, before anything is allocated."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from gemsmith import kernels
from gemsmith.config import ModelConfig, preset
from gemsmith.config.cost import kv_bytes
from gemsmith.config.tensors import text_tensors
from gemsmith.engine.loading import check_context, engine_of, opened
from gemsmith.engine.packing import IN_MEMORY, is_kept, kept_folder, packs_folder
from gemsmith.errors import GemsmithError, ModelNotFoundError
from gemsmith.formats.checkpoint import Checkpoint
from gemsmith.formats.gguf import GgufCheckpoint
from gemsmith.formats.pack import Pack, PackSizes, known_sizes, open_pack, planned_sizes, sizes_of
from gemsmith.formats.pack.plan import TABLE
from gemsmith.hub.known import preset_of
from gemsmith.hub.names import Resolved, resolve
from gemsmith.runtime import probe
from gemsmith.runtime.cpu.kv import KV, cache_bytes
from gemsmith.runtime.packed_plan import admitted_packed_context, bytes_read, packed_need
from gemsmith.runtime.plan import DTYPES, GROWTH, LEAST_CONTEXT, admitted_context, chosen_place, need
from gemsmith.runtime.select import check_settings, has_torch, without_torch

CONTEXTS = (4096, 32_768, 131_072, 262_144)  # tokens: where the cost of keys and values is told
Content = Checkpoint | GgufCheckpoint | Pack | None


@dataclass(frozen=True)
class Disk:
    """Bytes in files. `pack` is one made at first use, in a folder of `folder`, and `is_packed` once it is there."""

    model: int
    table: int = 0  # of per-layer embeddings that stay there: a token reads a row
    pack: int = 0
    folder: Path | None = None
    is_packed: bool = False


@dataclass(frozen=True)
class Outlook:
    """`how` is the engine in words. `memory` has bytes by purpose for `context` tokens; `problem` says why that is more
    than the machine has, and `told` that it holds less context than the model."""

    name: str
    kind: str
    engine: Literal["cpu", "torch"]
    how: str
    policy: str  # of a pack; "" where weights are taken as they are
    formats: dict[str, int]  # bytes by format, the most first
    disk: Disk
    read_per_token: int  # bytes of weights
    kv: str
    context: int
    most_context: int
    memory: dict[str, int]
    free: int
    kv_bytes: dict[int, dict[str, int]]  # tokens -> format -> bytes
    told: str = ""
    problem: str = ""
    config: ModelConfig = field(repr=False, kw_only=True)

    @property
    def total(self) -> int:
        """Bytes of memory."""
        return sum(self.memory.values())


def outlook(
    source: str | os.PathLike[str],
    *,
    backend: str | None = None,
    dtype: str | None = None,
    device: str | None = None,
    threads: int | None = None,
    max_context: int | None = None,
    kv: str | None = None,
) -> Outlook:
    """Look at what `load` would load with these settings; it raises what `load` would, but for too little memory."""
    check_settings(backend=backend, threads=threads, kv=kv)
    found = resolve(source)
    content = _content(found)
    config = _known_config(found) if content is None else content.config
    check_context(config, max_context)
    if engine_of(found, backend=backend, dtype=dtype, device=device) == "torch":
        return _on_torch(found, config, content, dtype, device, max_context)
    return _on_native(found, config, content, threads, max_context, kv or KV[0])


def _on_native(
    found: Resolved, config: ModelConfig, content: Content, threads: int | None, asked: int | None, kv: str
) -> Outlook:
    sizes, disk = _pack_of(found, config, content)
    weights = sizes.resident if disk.folder or found.kind == "pack" else sum(sizes.tensors.values())
    context, told, problem = _admitted(
        lambda: admitted_packed_context(found.name, config, weights, asked=asked, kv=kv), config, asked
    )
    native = kernels.native()
    needed = asdict(packed_need(config, weights, context, kv))
    return Outlook(
        name=found.name,
        kind=found.kind,
        engine="cpu",
        how=f"the native engine ({kernels.isa()}, {threads or native.default_threads()} threads)",
        policy=content.policy if isinstance(content, Pack) else "exact",
        formats=sizes.formats,
        disk=disk,
        read_per_token=bytes_read(config, sizes.read),
        kv=kv,
        context=needed.pop("context"),
        most_context=config.text.max_position_embeddings,
        memory=needed,
        free=probe.available_memory(),
        kv_bytes={n: {each: cache_bytes(config.text, n, each) for each in KV} for n in _contexts(config)},
        told=told,
        problem=problem,
        config=config,
    )


def _pack_of(found: Resolved, config: ModelConfig, content: Content) -> tuple[PackSizes, Disk]:
    """The sizes of the pack that runs, and where it is or will be."""
    if isinstance(content, Pack):
        sizes = sizes_of(content)
        return sizes, Disk(sizes.file, sizes.table)
    sizes = known_sizes(config, "exact") if content is None else planned_sizes(content, "exact")
    if content is None or found.path is None:  # not here: it will be packed as other large ones are
        folder = packs_folder() if sizes.file > IN_MEMORY else None
        return sizes, Disk(0, sizes.table, sizes.file, folder) if folder is not None else Disk(0)
    folder = kept_folder(found.path)
    here = _bytes_at(found.path)
    if folder is None:
        return sizes, Disk(here)
    return sizes, Disk(here, sizes.table, sizes.file, folder.parent, is_kept(found.path))


def _on_torch(
    found: Resolved, config: ModelConfig, content: Content, dtype: str | None, device: str | None, asked: int | None
) -> Outlook:
    if not has_torch():
        raise without_torch()
    tensors = None if isinstance(content, Pack) else content
    place, number, free, mapped = chosen_place(config, tensors, dtype=dtype, device=device)
    context, told, problem = _admitted(
        lambda: admitted_context(found.name, config, tensors, asked=asked, dtype=dtype, device=device), config, asked
    )
    size = DTYPES[number][1]
    shapes = text_tensors(config.text)
    weights = {name: size * math.prod(shape) for name, shape in shapes.items()}
    table = weights.get(TABLE, 0) if mapped else 0
    return Outlook(
        name=found.name,
        kind=found.kind,
        engine="torch",
        how=f"torch on {place}, in {number}",
        policy="",
        formats={},
        disk=Disk(_bytes_at(found.path) if found.path is not None else 0, table),
        read_per_token=bytes_read(config, weights),
        kv=number,
        context=context,
        most_context=config.text.max_position_embeddings,
        memory=asdict(need(config, number, context, mapped=mapped)),
        free=free,
        kv_bytes={
            n: {number: kv_bytes(config.text, n, bytes_per_value=size, growth=GROWTH)} for n in _contexts(config)
        },
        told=told,
        problem=problem,
        config=config,
    )


def _admitted(ask: Callable[[], int], config: ModelConfig, asked: int | None) -> tuple[int, str, str]:
    """The context that is served; what is told of it, and why there is none: then the one that was refused."""
    most = config.text.max_position_embeddings
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            context = ask()
        except GemsmithError as error:
            return asked or min(LEAST_CONTEXT, most), "", str(error)
    return context, str(said[0].message) if said else "", ""


def _content(found: Resolved) -> Content:
    """What is at the model's path, as far as headers tell; None where there are no weights."""
    if found.path is None or found.kind == "config":
        return None
    return open_pack(found.path) if found.kind == "pack" else opened(found)


def _known_config(found: Resolved) -> ModelConfig:
    """The config of a model without weights here: a file's, a stand-in's, or one of Google's."""
    if found.path is not None:
        return ModelConfig.load(found.path)
    name = preset_of(found.wanted.repo) if found.wanted is not None else found.name
    if name is None:
        raise ModelNotFoundError(
            f"{found.name} is not on this machine, and without its files nothing is known of it; to fetch it:"
            f" gemsmith pull {found.name}"
        )
    return preset(name)


def _contexts(config: ModelConfig) -> tuple[int, ...]:
    """Round lengths up to the model's own."""
    most = config.text.max_position_embeddings
    return (*(n for n in CONTEXTS if n < most), most)


def _bytes_at(path: Path) -> int:
    """Of a file, or of the files of a folder."""
    files = [path] if path.is_file() else [each for each in path.iterdir() if each.is_file()]
    return sum(file.stat().st_size for file in files)
