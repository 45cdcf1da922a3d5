"""The plain reference for the native engine: the torch model over unpacked weights, activations rounded as packed
matrices see them. Nothing here is fast, and nothing of it comes from the engine but the word on ties (`Rounding`).
"""

from __future__ import annotations

import contextlib
import math
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
PREFIX = "model.language_model."


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
            if view.format not in ("f32", "f16", "bf16"):
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


class Rounding:
    """8-bit codes of the reference's own numbers, with the engine's word on ties.

    A number halfway between two codes, but for the last bits of a float, may become either, since sums in another order
    differ there; and one such code moves a random model's logits by 0.1. So the engine's codes are taken, each after it
    was held against the reference's own number: `furthest` is the largest distance between the two, in steps of the
    code. 0.5 and a few units in the last place: both round alike. More: the engine computed something else.
    """

    def __init__(self, codes: dict[str, np.ndarray]):
        """`codes` by released name of the matrix, as `lanes.engine_codes` finds them."""
        self._codes, self._taken = codes, dict.fromkeys(codes, 0)
        self.num_codes, self.num_others, self.furthest = 0, 0, 0.0

    def __call__(self, x: Tensor, name: str) -> Tensor:
        """Rows of activations to codes and back. Experts come one after the other: each takes the next rows."""
        width, rows = x.shape[-1], x.flatten(0, -2).shape[0]
        first = self._taken[name] if ".experts." in name else 0
        self._taken[name] = first + rows
        codes = torch.from_numpy(self._codes[name][first : first + rows]).reshape(x.shape).float()
        x, codes = (F.pad(each, (0, -width % GROUP)).unflatten(-1, (-1, GROUP)) for each in (x, codes))
        most = x.abs().amax(-1, keepdim=True)
        factors = torch.full_like(most, 127.0) / most  # 127.0 / most is a reciprocal times 127, one rounding more
        in_steps = torch.where(most > 0, x * factors, torch.zeros(()))
        self.num_codes += rows * width
        self.num_others += int((codes != torch.round(in_steps)).sum())
        self.furthest = max(self.furthest, float((codes - in_steps).abs().max()))
        return (codes * (most / 127.0)).flatten(-2)[..., :width]

    def is_used_up(self) -> bool:
        """Whether the reference has asked for every code there is."""
        return all(self._taken[name] == len(codes) for name, codes in self._codes.items())


@contextlib.contextmanager
def rounded_inputs(model: TextModel, coded: set[str], rounding: Rounding) -> Iterator[None]:
    """Within: every product with a coded matrix takes rounded inputs, and gelu is exact."""
    names = {p.untyped_storage().data_ptr(): PREFIX + name for name, p in model.named_parameters()}
    plain, plain_gelu = F.linear, F.gelu

    def linear(x: Tensor, weight: Tensor, *rest: Any) -> Tensor:
        name = names[weight.untyped_storage().data_ptr()]
        return plain(rounding(x, name) if name in coded else x, weight, *rest)

    F.linear, F.gelu = linear, gelu
    try:
        yield
    finally:
        F.linear, F.gelu = plain, plain_gelu


def gelu(x: Tensor, approximate: str) -> Tensor:
    """The same function by the logistic one, in float64: 1 + tanh(u) has no digits left where it is about 1e-7, and a
    group whose numbers are all that small has codes as any other."""
    assert approximate == "tanh"
    x = x.double()
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return (x * torch.sigmoid(2 * u)).float()


class Emulated:
    """The reference over a pack's numbers."""

    def __init__(self, pack: Pack):
        self._model, self._coded = unpacked(pack.config.text, pack)

    def logits(self, ids: list[int], rounding: Rounding) -> np.ndarray:
        """Logits [T, V] of a prompt."""
        with torch.inference_mode(), rounded_inputs(self._model, self._coded, rounding):
            logits: np.ndarray = self._model(torch.tensor([ids]))[0].numpy()
        return logits
