"""What a model needs of memory, and whether the machine has it: asked before anything is allocated.

`need` is a function of the config alone. Weights and K/V are exact, to the byte what the torch runtime allocates;
`WORK` and `MARGIN` are stated allowances. `admitted_context` compares the sum with the memory at hand.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from gemsmith.config import TextConfig
from gemsmith.config.cost import kv_bytes
from gemsmith.config.tensors import text_tensors
from gemsmith.errors import GemsmithError
from gemsmith.formats.tensor import TensorView
from gemsmith.runtime import probe

DTYPES = {"float32": ("F32", 4), "bfloat16": ("BF16", 2), "float16": ("F16", 2)}  # name in files, bytes of a number
GROWTH = 256  # tokens by which the caches grow
LEAST_CONTEXT = 4096  # tokens: what must fit where no context was asked for; less makes no conversation
WORK = 16 * 512  # bytes a token of context: masks and scores of the 512 rows that one forward pass takes of a prompt
MARGIN = 256 << 20  # bytes: torch itself, and what other programs take meanwhile
TABLE = "embed_tokens_per_layer.weight"


@dataclass(frozen=True)
class Need:
    """Bytes of memory, by purpose."""

    weights: int
    kv: int
    work: int
    margin: int = MARGIN

    @property
    def total(self) -> int:
        return self.weights + self.kv + self.work + self.margin


def num_weights(text: TextConfig, *, mapped: bool = False) -> int:
    """Numbers in the text decoder.

    `mapped` weights are pages of their file. All but the per-layer embedding table are read for every token; of that
    one a token reads a row, so it can stay on the disk and is not counted.
    """
    shapes = text_tensors(text).items()
    return sum(math.prod(shape) for name, shape in shapes if not (mapped and name.endswith(TABLE)))


def need(text: TextConfig, dtype: str, context: int, *, mapped: bool = False) -> Need:
    """What the model and one sequence of `context` tokens take."""
    size = DTYPES[dtype][1]
    kv = kv_bytes(text, context, bytes_per_value=size, growth=GROWTH)
    return Need(num_weights(text, mapped=mapped) * size, kv, WORK * context)


def largest_context(text: TextConfig, dtype: str, memory: int, *, mapped: bool = False) -> int:
    """The most tokens of context that fit into `memory` bytes, by steps in which caches grow; 0 if none do."""
    low, high = 0, text.max_position_embeddings // GROWTH + 1
    while high - low > 1:
        middle = (low + high) // 2
        fits = need(text, dtype, middle * GROWTH, mapped=mapped).total <= memory
        low, high = (middle, high) if fits else (low, middle)
    return low * GROWTH


def admitted_context(
    name: str,
    text: TextConfig,
    tensors: Mapping[str, TensorView] | None,
    *,
    asked: int | None,
    dtype: str | None = None,
    device: str | None = None,
) -> int:
    """The context to serve: what was asked for, else all the model has, else what fits, with a warning.

    GemsmithError, with numbers and what to try, where the memory at hand is too small even for the least of these.
    """
    most = text.max_position_embeddings
    try:
        from gemsmith.runtime.torch.weights import choose_device, choose_dtype, free_memory
    except ModuleNotFoundError:  # `open_runtime` says what to install
        return asked or most
    target = choose_device(device)
    number = str(choose_dtype(dtype, target, num_weights(text), text)).removeprefix("torch.")
    memory = probe.available_memory() if target.type == "cpu" else free_memory(target)
    table = (tensors or {}).get(f"model.language_model.{TABLE}")
    mapped = table is not None and target.type == "cpu" and table.dtype == DTYPES[number][0]
    if need(text, number, asked or most, mapped=mapped).total <= memory:
        return asked or most
    fitting = largest_context(text, number, memory, mapped=mapped)
    if asked is None and fitting >= min(LEAST_CONTEXT, most):
        warnings.warn(
            f"{name}: {_gb(memory)} of free memory hold {fitting:,} tokens of context, not the {most:,} of the model;"
            " free some memory for more",
            stacklevel=3,
        )
        return fitting
    raise GemsmithError(_refusal(name, text, number, asked or min(LEAST_CONTEXT, most), memory, fitting, mapped))


def _refusal(name: str, text: TextConfig, dtype: str, context: int, memory: int, fitting: int, mapped: bool) -> str:
    found = need(text, dtype, context, mapped=mapped)
    ways = [f"--max-context {fitting} (max_context={fitting})"] if fitting else []
    if dtype == "float32" and need(text, "bfloat16", context).total <= memory:
        ways.append("--dtype bfloat16 (dtype='bfloat16')")
    return (
        f"{name} in {dtype} with {context:,} tokens of context needs {_gb(found.total)} of memory: weights"
        f" {_gb(found.weights)}, keys and values {_gb(found.kv)}, work {_gb(found.work)}, margin {_gb(found.margin)}."
        f" Free are {_gb(memory)}. Try {', '.join([*ways, 'a smaller model'])}, or close other programs"
    )


def _gb(count: int) -> str:
    return f"{count / 1e9:.2f} GB"
