"""A checkpoint's tensors into a torch model: the mapped pages themselves where the dtype allows, else converted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from gemsmith.config import ModelConfig, TextConfig
from gemsmith.errors import GemsmithError
from gemsmith.files import MappedFile
from gemsmith.formats.tensor import TensorView
from gemsmith.model.init import random_senses, random_text_model
from gemsmith.model.senses import Senses
from gemsmith.model.text import TextModel
from gemsmith.ops import buffers
from gemsmith.runtime.probe import available_memory

PREFIX = "model.language_model."
SENSES_PREFIX = "model."
DEVICES = ("cpu", "cuda", "mps", "xpu")
M = TypeVar("M", bound=nn.Module)
SMALL_MODEL_BYTES = 1 << 31  # below this a processor computes in float32: as fast there, and exact


def load_text_model(
    text: TextConfig, tensors: Mapping[str, TensorView], *, dtype: str | None = None, device: str | None = None
) -> TextModel:
    """The text model over the checkpoint's own bytes: no copy where `dtype` and device are those of the file."""
    target = choose_device(device)
    with torch.device("meta"):
        model = TextModel(text)
    wanted = choose_dtype(dtype, target, sum(p.numel() for p in model.parameters()), text)
    return _filled(model, tensors, PREFIX, target, wanted)


def load_senses(config: ModelConfig, tensors: Mapping[str, TensorView], beside: TextModel) -> Senses | None:
    """The senses that go with a text model, on its device and in its dtype; None for a config that has none."""
    if config.vision is None and config.audio is None:
        return None
    with torch.device("meta"):
        senses = Senses(config)
    weight = beside.embed_tokens.weight
    return _filled(senses, tensors, SENSES_PREFIX, weight.device, weight.dtype)


def load_senses_alone(config: ModelConfig, tensors: Mapping[str, TensorView]) -> Senses:
    """The senses beside another engine's text model: on the processor, in float32 where they are small."""
    with torch.device("meta"):
        senses = Senses(config)
    device = torch.device("cpu")
    dtype = choose_dtype(None, device, sum(p.numel() for p in senses.parameters()), config.text)
    return _filled(senses, tensors, SENSES_PREFIX, device, dtype)


def make_random_text_model(
    text: TextConfig, seed: int = 0, *, dtype: str | None = None, device: str | None = None
) -> TextModel:
    """A model of this shape whose weights come from a seed."""
    target = choose_device(device)
    model = random_text_model(text, seed)
    return _frozen(model.to(target, choose_dtype(dtype, target, sum(p.numel() for p in model.parameters()), text)))


def make_random_senses(config: ModelConfig, beside: TextModel, seed: int = 0) -> Senses | None:
    """Senses from a seed, on the text model's device and in its dtype; None for a config that has none."""
    if config.vision is None and config.audio is None:
        return None
    weight = beside.embed_tokens.weight
    return _frozen(random_senses(config, seed).to(weight.device, weight.dtype))


def files_under(
    model: TextModel, tensors: Mapping[str, TensorView], senses: Senses | None = None
) -> tuple[MappedFile, ...]:
    """The files whose own pages the model and its senses compute with: cut or rewritten, they would take it down."""
    files = {}
    parts = {PREFIX: model, SENSES_PREFIX: senses} if senses else {PREFIX: model}
    for name, parameter in ((p + name, x) for p, part in parts.items() for name, x in part.state_dict().items()):
        view = tensors[name]
        if view.dtype not in buffers.DTYPES:
            continue  # what the model has is a copy
        file, pages = view.buffer.obj, buffers.from_buffer(view.buffer, view.dtype, view.shape)
        if isinstance(file, MappedFile) and parameter.data_ptr() == pages.data_ptr():
            files[id(file)] = file
    return tuple(files.values())


def choose_device(device: str | None) -> torch.device:
    """The device asked for, else a GPU if torch sees one, else the processor."""
    if device is not None and str(device).partition(":")[0] not in DEVICES:
        raise GemsmithError(f"there is no device {device!r}; known are {', '.join(DEVICES)}, and cuda:1 for the second")
    try:
        chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise GemsmithError(
            f"device {device!r} cannot be used by this torch ({torch.__version__}): {str(error).splitlines()[0]}"
        ) from error
    return chosen


def free_memory(device: torch.device) -> int:
    """Bytes that a model on an accelerator can still take; one that shares the processor's memory has that."""
    if device.type in ("cuda", "xpu"):
        free: int = getattr(torch, device.type).mem_get_info(device)[0]
        return free
    return available_memory()


def choose_dtype(dtype: str | None, device: torch.device, num_parameters: int, text: TextConfig) -> torch.dtype:
    """The dtype asked for; else float32 for a small model on a processor; else the checkpoint's own."""
    if dtype is None:
        small = device.type == "cpu" and num_parameters * 4 <= SMALL_MODEL_BYTES
        dtype = "float32" if small else text.dtype
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if dtype not in known:
        raise GemsmithError(f"dtype {dtype!r} is not one of {', '.join(known)}")
    return known[dtype]


def _filled(module: M, tensors: Mapping[str, TensorView], prefix: str, device: torch.device, dtype: torch.dtype) -> M:
    """A module made on `meta`, with the checkpoint's tensors in it."""
    state = {}
    for name in module.state_dict():
        view = tensors[prefix + name]
        state[name] = _tensor(view).to(device, dtype)
    module.load_state_dict(state, assign=True)
    return _frozen(module)


def _tensor(view: TensorView) -> Tensor:
    """The view's own pages; quantised blocks, which torch has no dtype for, as float32."""
    if view.dtype in buffers.DTYPES:
        return buffers.from_buffer(view.buffer, view.dtype, view.shape)
    return torch.from_numpy(view.numpy())


def _frozen(module: M) -> M:
    return module.requires_grad_(False).eval()
