"""Chooses the engine that executes a model, and puts its weights in. The engines themselves are imported here alone."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping

from gemsmith import kernels
from gemsmith.config import ModelConfig, TextConfig
from gemsmith.config.fields import shown
from gemsmith.errors import GemsmithError, MissingDependencyError, NoEngineError
from gemsmith.formats.pack import Pack
from gemsmith.formats.tensor import TensorView
from gemsmith.runtime.cpu.kv import KV
from gemsmith.runtime.packed_plan import unknown_kv
from gemsmith.runtime.protocol import Runtime

BACKENDS = ("cpu", "torch")


def open_runtime(
    config: ModelConfig | TextConfig,
    tensors: Mapping[str, TensorView] | None,
    *,
    backend: str | None = None,
    dtype: str | None = None,
    device: str | None = None,
    threads: int | None = None,
) -> Runtime:
    """A runtime with these weights in it; with weights from seed 0 if `tensors` is None.

    A text config alone stands for a model without senses.
    GemsmithError for a backend, dtype or device that does not exist here; MissingDependencyError without torch.
    """
    check_settings(backend=backend, threads=threads)
    if backend == "cpu":
        raise GemsmithError("the native engine (backend 'cpu') runs packs, GGUF files and checkpoints with weights")
    try:
        from gemsmith.runtime.torch import (
            TorchRuntime,
            files_under,
            load_senses,
            load_text_model,
            make_random_senses,
            make_random_text_model,
            set_threads,
        )
    except ModuleNotFoundError as missing:
        if missing.name != "torch":
            raise
        raise without_torch() from missing
    if threads is not None:
        set_threads(threads)
    whole = ModelConfig.of(config)
    if tensors is None:
        model = make_random_text_model(whole.text, dtype=dtype, device=device)
        return TorchRuntime(model, senses=make_random_senses(whole, model))
    model = load_text_model(whole.text, tensors, dtype=dtype, device=device)
    senses = load_senses(whole, tensors, model)
    return TorchRuntime(model, files_under(model, tensors, senses), senses)


def open_packed_runtime(pack: Pack, *, threads: int | None = None, kv: str | None = None) -> Runtime:
    """The native engine with a pack's weights. MissingDependencyError where it was not built."""
    from gemsmith.runtime.cpu import open_cpu_runtime

    return open_cpu_runtime(pack, threads=threads, kv=kv)


def check_settings(*, backend: str | None, threads: int | None, kv: str | None = None) -> None:
    """GemsmithError for a backend or a type of keys and values that does not exist, or no number of threads."""
    if backend not in (None, *BACKENDS):
        raise GemsmithError(f"there is no backend {backend!r}; known are {', '.join(BACKENDS)}")
    if kv not in (None, *KV):
        raise unknown_kv(kv)
    if threads is not None and (type(threads) is not int or not 1 <= threads <= 1024):
        raise GemsmithError(f"threads must be a whole number from 1 to 1024, found {shown(threads)}")


def has_torch() -> bool:
    """Whether torch is installed; it is not imported to see."""
    return "torch" in sys.modules or importlib.util.find_spec("torch") is not None


def without_torch() -> MissingDependencyError:
    """For a model that only torch runs, where it is not installed: what to install."""
    return MissingDependencyError("torch", "torch", "running this model") if kernels.available() else NoEngineError()
