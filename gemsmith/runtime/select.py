"""Chooses the engine that executes a model, and puts its weights in. The engines themselves are imported here alone."""

from __future__ import annotations

from collections.abc import Mapping

from gemsmith.config import ModelConfig, TextConfig
from gemsmith.config.fields import shown
from gemsmith.errors import GemsmithError, MissingDependencyError
from gemsmith.formats.tensor import TensorView
from gemsmith.runtime.protocol import Runtime

BACKENDS = ("torch",)


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
    if backend not in (None, *BACKENDS):
        raise GemsmithError(f"there is no backend {backend!r}; known are {', '.join(BACKENDS)}")
    if threads is not None and (type(threads) is not int or not 1 <= threads <= 1024):
        raise GemsmithError(f"threads must be a whole number from 1 to 1024, found {shown(threads)}")
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
        raise MissingDependencyError("torch", "torch", "running a model") from missing
    if threads is not None:
        set_threads(threads)
    whole = ModelConfig.of(config)
    if tensors is None:
        model = make_random_text_model(whole.text, dtype=dtype, device=device)
        return TorchRuntime(model, senses=make_random_senses(whole, model))
    model = load_text_model(whole.text, tensors, dtype=dtype, device=device)
    senses = load_senses(whole, tensors, model)
    return TorchRuntime(model, files_under(model, tensors, senses), senses)
