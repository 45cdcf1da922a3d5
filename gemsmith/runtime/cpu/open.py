"""A pack to a runtime: the program lowered, senses through torch where it is installed."""

from __future__ import annotations

from functools import cache
from typing import Any

from gemsmith import kernels
from gemsmith.config import ModelConfig
from gemsmith.config.cost import text_parameters
from gemsmith.errors import GemsmithError, MissingDependencyError, ModelFileError
from gemsmith.formats.pack import Pack
from gemsmith.media.prepared import Prepared
from gemsmith.runtime.cpu.engine import CpuRuntime, Encode
from gemsmith.runtime.cpu.kv import KV
from gemsmith.runtime.cpu.lower import lower
from gemsmith.runtime.protocol import Soft

SMALL_MODEL = 1 << 29  # parameters: up to here the reference, too, computes in float32
WIDEST_HEAD = 512


def open_cpu_runtime(pack: Pack, *, threads: int | None = None, kv: str | None = None) -> CpuRuntime:
    """The native engine with this pack's weights, which stay where they are. GemsmithError for an unknown `kv`."""
    if kv not in (None, *KV):
        raise GemsmithError(f"keys and values cannot be stored in {kv!r}; known are {', '.join(KV)}")
    kernels.isa()  # a SettingError for a GEMSMITH_ISA that is not there
    text = pack.config.text
    if widest := max((layer.head_dim for layer in text.layers if layer.head_dim > WIDEST_HEAD), default=0):
        raise ModelFileError(f"the native engine's heads have at most {WIDEST_HEAD} dimensions, this model's {widest}")
    program = lower(text, pack.tensors, dtype=scale_dtype(pack.config))
    check = pack.file.check if pack.file is not None else lambda: None
    return CpuRuntime(pack.config, program, threads=threads, kv=kv or KV[0], encode=_encoder(pack), check_files=check)


def scale_dtype(config: ModelConfig) -> str:
    """The type that scales of looked-up rows are rounded to: the one that the reference computes in on a processor."""
    return "float32" if text_parameters(config) <= SMALL_MODEL else config.text.dtype


def _encoder(pack: Pack) -> Encode | None:
    """Soft tokens by the torch senses; None for a model without senses."""
    if pack.config.vision is None and pack.config.audio is None:
        return None

    @cache
    def senses() -> Any:
        try:
            from gemsmith.runtime.torch import load_senses_alone
        except ModuleNotFoundError as missing:
            if missing.name != "torch":
                raise
            raise MissingDependencyError("torch", "torch", "seeing and hearing") from missing
        return load_senses_alone(pack.config, pack.senses())

    def encode(media: Prepared) -> Soft:
        from gemsmith.runtime.torch.encode import soft_tokens

        return soft_tokens(senses(), media)

    return encode
