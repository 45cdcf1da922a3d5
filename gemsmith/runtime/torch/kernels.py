"""The self-test of the kernels in the table of `ops`: each against the definition it stands in for.

Arguments are those that a real forward pass hands over, so a kernel is covered the moment it is listed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gemsmith import ops
from gemsmith.config import TextConfig
from gemsmith.formats.tensor import TensorView
from gemsmith.ops.dispatch import Kernel, Op
from gemsmith.runtime.protocol import Run
from gemsmith.runtime.torch.engine import TorchRuntime
from gemsmith.runtime.torch.weights import load_text_model

# of the result's spread: what summing in another order may change (float32), and a few roundings to 8 bits (bfloat16)
KERNEL_LIMITS = {"float32": 1e-4, "bfloat16": 0.03}


@dataclass(frozen=True)
class KernelCheck:
    """How far one kernel was from its reference over all calls that it takes."""

    kernel: str
    op: str
    num_calls: int
    error: float
    problem: str = ""


def all_ops() -> dict[str, Op]:
    """The table: name -> operation."""
    return {name: op for name in ops.__all__ if isinstance(op := getattr(ops, name), Op)}


def all_kernels() -> list[str]:
    """Names of every kernel, for `ops.without`."""
    return sorted({kernel.name for op in all_ops().values() for kernel in op.kernels})


def reference_logits(text: TextConfig, tensors: Mapping[str, TensorView], ids: Sequence[int]) -> Any:
    """Logits [T, V] from the definitions alone: one shot on the processor, float32, no kernel, no cache."""
    model = load_text_model(text, tensors, dtype="float32", device="cpu")
    with torch.inference_mode(), ops.without(*all_kernels()):
        return model(torch.tensor([list(ids)]))[0].numpy()


def check_kernels(
    text: TextConfig, tensors: Mapping[str, TensorView], ids: Sequence[int], *, dtype: str, device: str
) -> list[KernelCheck]:
    """Every kernel on what this model asks of it, in one shot and in a single step."""
    with ops.without(*all_kernels()), recording() as calls:
        runtime = TorchRuntime(load_text_model(text, tensors, dtype=dtype, device=device))
        sequence = runtime.new()
        for part in (ids[:-6], ids[-6:-1], ids[-1:]):
            runtime.step([Run(sequence, part, [len(part) - 1])]).logits  # noqa: B018 - computed when asked for
    with torch.inference_mode():
        return [
            _checked(name, op, kernel, calls.get(name, [])) for name, op in all_ops().items() for kernel in op.kernels
        ]


@contextmanager
def recording() -> Iterator[dict[str, list[tuple[Any, ...]]]]:
    """Arguments of every call that reaches a reference with kernels, the first of each shape."""
    calls: dict[str, list[tuple[Any, ...]]] = {}
    watched = {name: op for name, op in all_ops().items() if op.kernels}
    before = {name: op.reference for name, op in watched.items()}

    def watch(name: str) -> Any:
        seen = set()

        def called(*args: Any) -> Any:
            shape = tuple(tuple(x.shape) for x in args if isinstance(x, Tensor))
            if shape not in seen:
                seen.add(shape)
                calls.setdefault(name, []).append(args)
            return before[name](*args)

        return called

    for name, op in watched.items():
        op.reference = watch(name)
    try:
        yield calls
    finally:
        for name, op in watched.items():
            op.reference = before[name]


def _checked(name: str, op: Op, kernel: Kernel, calls: list[tuple[Any, ...]]) -> KernelCheck:
    worst, num_calls = 0.0, 0
    try:
        for args in calls:
            if not kernel.supports(*args):
                continue
            num_calls += 1
            worst = max(worst, _error(kernel.fn(*args), op.reference(*map(_exact, args)), op.reference(*args)))
    except Exception as error:  # a kernel may raise anything
        said = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        return KernelCheck(kernel.name, name, num_calls, math.inf, said)
    return KernelCheck(
        kernel.name, name, num_calls, worst, "" if math.isfinite(worst) else "NaN, infinity or misshapen"
    )


def _error(got: Any, exact: Any, alike: Any) -> float:
    """The largest difference over the spread; infinite for other shapes or indices, NaN and infinity."""
    if isinstance(alike, tuple):
        return max(map(_error, got, exact, alike)) if len(got) == len(alike) else math.inf
    if got.shape != alike.shape or got.dtype != alike.dtype:
        return math.inf
    if not alike.is_floating_point():
        return 0.0 if torch.equal(got, alike) else math.inf
    gap = float((got.float() - exact.float()).abs().max()) / max(float(exact.float().std(correction=0)), 1e-9)
    return gap if math.isfinite(gap) else math.inf


def _exact(value: Any) -> Any:
    """An argument in float32."""
    if isinstance(value, tuple):
        return tuple(map(_exact, value))
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value
