"""A checkpoint's tensors into a torch model: the mapped pages themselves where the dtype allows, else converted."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from gemsmith.config import TextConfig
from gemsmith.errors import GemsmithError
from gemsmith.files import MappedFile
from gemsmith.formats.tensor import TensorView
from gemsmith.model.init import random_text_model
from gemsmith.model.text import TextModel
from gemsmith.ops import buffers
from gemsmith.runtime.probe import available_memory

PREFIX = "model.language_model."
DEVICES = ("cpu", "cuda", "mps", "xpu")
SMALL_MODEL_BYTES = 1 << 31  # below this a processor computes in float32: as fast there, and exact


def load_text_model(
    text: TextConfig, tensors: Mapping[str, TensorView], *, dtype: str | None = None, device: str | None = None
) -> TextModel:
    """The text model over the checkpoint's own bytes: no copy where `dtype` and device are those of the file."""
    target = choose_device(device)
    with torch.device("meta"):
        model = TextModel(text)
    wanted = choose_dtype(dtype, target, sum(p.numel() for p in model.parameters()), text)
    state = {}
    for name in model.state_dict():
        view = tensors[PREFIX + name]
        state[name] = buffers.from_buffer(view.buffer, view.dtype, view.shape).to(target, wanted)
    model.load_state_dict(state, assign=True)
    return _frozen(model)


def make_random_text_model(
    text: TextConfig, seed: int = 0, *, dtype: str | None = None, device: str | None = None
) -> TextModel:
    """A model of this shape whose weights come from a seed."""
    target = choose_device(device)
    model = random_text_model(text, seed)
    return _frozen(model.to(target, choose_dtype(dtype, target, sum(p.numel() for p in model.parameters()), text)))


def files_under(model: TextModel, tensors: Mapping[str, TensorView]) -> tuple[MappedFile, ...]:
    """The files whose own pages the model computes with: cut or rewritten, they would take it down."""
    files = {}
    for name, parameter in model.state_dict().items():
        view = tensors[PREFIX + name]
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


def _frozen(model: nn.Module) -> TextModel:
    assert isinstance(model, TextModel)
    return model.requires_grad_(False).eval()
