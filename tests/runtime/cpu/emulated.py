"""The plain reference for the native engine: the torch model over unpacked weights, activations rounded as packed
matrices see them. Nothing here is fast, and nothing of it comes from the engine.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gemsmith import quant
from gemsmith.config import TextConfig
from gemsmith.formats.pack import Pack, PackedView, packed_tensors
from gemsmith.formats.tensor import TensorView
from gemsmith.model.text import TextModel
from gemsmith.runtime.torch import load_text_model

GROUP = 32


def unpacked(text: TextConfig, pack: Pack) -> tuple[TextModel, set[str]]:
    """The model in float32 with the numbers that the packed bytes stand for, and the names of its 8-bit inputs."""
    views: dict[str, TensorView] = {}
    coded = set()
    for tensor in packed_tensors(text):
        view = pack.tensors[tensor.name]
        arrays = _arrays(view, len(tensor.parts))
        for name, array in zip(tensor.parts, arrays, strict=True):
            array = np.ascontiguousarray(
                array.reshape((*tensor.shape,)) if array.size == np.prod(tensor.shape) else array
            )
            views[name] = TensorView(name, array.shape, "F32", memoryview(array).cast("B"))
            if view.format in ("q8", "q4", "q2"):
                coded.add(name)
    return load_text_model(text, views, dtype="float32", device="cpu"), coded


def _arrays(view: PackedView, num_parts: int) -> list[np.ndarray]:
    data = np.frombuffer(view.buffer, np.uint8)
    if view.arrangement == "vector":
        return [np.frombuffer(view.buffer, np.float32)]
    if view.arrangement == "table":
        return [quant.unpack_rows(data.reshape(view.rows, -1), view.format, view.cols)]
    each = [quant.unpack(part, view.format, view.rows, view.cols) for part in np.split(data, view.count)]
    if view.arrangement == "rows":
        return each
    rows = view.shape[-2] // (1 if num_parts == 2 else 2)
    if view.arrangement == "stacked" and "gate_up" not in view.name:
        return [np.stack(each)]
    halves = [[_half(matrix, half)[:rows] for matrix in each] for half in (0, 1)]
    if num_parts == 2:
        return [halves[0][0], halves[1][0]]
    return [np.stack([np.concatenate(pair) for pair in zip(*halves, strict=True)])]


def _half(matrix: np.ndarray, half: int) -> np.ndarray:
    """Gate (0) or up (1) of alternating blocks of 32 rows."""
    return matrix.reshape(-1, 2, 32, matrix.shape[1])[:, half].reshape(-1, matrix.shape[1])


def rounded(x: Tensor) -> Tensor:
    """Each 32 neighbours to 8-bit codes and back."""
    width = x.shape[-1]
    x = F.pad(x, (0, -width % GROUP)).unflatten(-1, (-1, GROUP))
    most = x.abs().amax(-1, keepdim=True)
    factors = torch.full_like(most, 127.0) / most  # 127.0 / most would be a reciprocal times 127, one rounding more
    codes = torch.where(most > 0, torch.round(x * factors), torch.zeros(()))
    return (codes * (most / 127.0)).flatten(-2)[..., :width]


@contextlib.contextmanager
def rounded_inputs(model: TextModel, coded: set[str]) -> Iterator[None]:
    """Within: every product with a coded matrix takes rounded inputs."""
    prefix = "model.language_model."
    storages = {p.untyped_storage().data_ptr() for name, p in model.named_parameters() if prefix + name in coded}
    plain = F.linear

    def linear(x: Tensor, weight: Tensor, *rest: Any) -> Tensor:
        return plain(rounded(x) if weight.untyped_storage().data_ptr() in storages else x, weight, *rest)

    F.linear = linear
    try:
        yield
    finally:
        F.linear = plain


def emulated_logits(text: TextConfig, pack: Pack, prompts: list[list[int]]) -> list[np.ndarray]:
    """Logits [T, V] of each prompt."""
    model, coded = unpacked(text, pack)
    with torch.inference_mode(), rounded_inputs(model, coded):
        return [model(torch.tensor([ids]))[0].numpy() for ids in prompts]
