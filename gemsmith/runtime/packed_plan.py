"""What a model takes on the native engine, and whether the machine has it; `plan` says the same of the torch runtime.

Weights and keys and values are exact, to the byte what the engine maps and allocates; `MARGIN` is an allowance. A
table of per-layer embeddings stays in its file: a token reads a row of it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from gemsmith.config import ModelConfig
from gemsmith.config.cost import bytes_per_generated_token
from gemsmith.errors import GemsmithError
from gemsmith.runtime import probe
from gemsmith.runtime.cpu.kv import KV, cache_bytes
from gemsmith.runtime.plan import GROWTH, LEAST_CONTEXT, gigabytes, less

MARGIN = 192 << 20  # bytes: Python, the tokenizer, activations of a prompt's chunk


@dataclass(frozen=True)
class PackedNeed:
    """Bytes of memory, by purpose, for one sequence of `context` tokens."""

    context: int
    weights: int
    kv: int
    margin: int = MARGIN

    @property
    def total(self) -> int:
        return self.weights + self.kv + self.margin


def packed_need(config: ModelConfig, weights: int, context: int, kv: str | None = None) -> PackedNeed:
    """`weights` are the bytes that stay in memory: all but a table that stays in its file."""
    return PackedNeed(context, weights, cache_bytes(config.text, context, kv))


def bytes_read(config: ModelConfig, sizes: Mapping[str, int]) -> int:
    """Bytes of weights that writing one token reads: of experts those that are chosen, of the table a row."""
    return round(bytes_per_generated_token(config, sizes))


def admitted_packed_context(
    name: str, config: ModelConfig, weights: int, *, asked: int | None, kv: str | None = None
) -> int:
    """The context to serve: what was asked for, else all the model has, else what fits, with a warning.

    GemsmithError, with numbers and what to try, where the memory at hand is too small even for the least of these.
    """
    if kv not in (None, *KV):
        raise unknown_kv(kv)
    most, memory = config.text.max_position_embeddings, probe.available_memory()
    if packed_need(config, weights, asked or most, kv).total <= memory:
        return asked or most
    fitting = largest_packed_context(config, weights, memory, kv)
    if asked is None and fitting >= min(LEAST_CONTEXT, most):
        return less(name, memory, fitting, most)
    raise GemsmithError(_refusal(name, config, weights, asked or min(LEAST_CONTEXT, most), memory, fitting, kv))


def largest_packed_context(config: ModelConfig, weights: int, memory: int, kv: str | None = None) -> int:
    """The most tokens of context that fit into `memory` bytes, in steps of `GROWTH`; 0 if none do."""
    counts = range(GROWTH, config.text.max_position_embeddings + 1, GROWTH)
    return GROWTH * bisect_right(counts, memory, key=lambda n: packed_need(config, weights, n, kv).total)


def unknown_kv(kv: object) -> GemsmithError:
    """For a number type that keys and values cannot have."""
    return GemsmithError(f"keys and values cannot be stored in {kv!r}; known are {', '.join(KV)}")


def _refusal(
    name: str, config: ModelConfig, weights: int, context: int, memory: int, fitting: int, kv: str | None
) -> str:
    found = packed_need(config, weights, context, kv)
    ways = [f"--max-context {fitting} (max_context={fitting})"] if fitting else []
    if kv != "q8" and packed_need(config, weights, context, "q8").total <= memory:
        ways.append("--kv q8 (kv='q8')")
    ways.append("fewer bits (gemsmith quantize MODEL --to q4, or mix)")
    return (
        f"{name} with {context:,} tokens of context needs {gigabytes(found.total)} of memory: weights"
        f" {gigabytes(found.weights)}, keys and values in {kv or KV[0]} {gigabytes(found.kv)}, margin"
        f" {gigabytes(found.margin)}. Free are {gigabytes(memory)}. Try {', '.join(ways)}, a smaller model, or close"
        " other programs"
    )
