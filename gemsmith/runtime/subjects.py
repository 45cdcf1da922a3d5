"""What the self-test computes with: a small model of every kind, whose weights are the same numbers on every machine.

Weights come from integer arithmetic on the tensor's name, not from a framework's random generator, and are bfloat16
numbers, so that no runtime rounds them when it loads them: what differs afterwards is computation.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from gemsmith.config import TextConfig, preset
from gemsmith.config.tensors import text_tensors
from gemsmith.formats.tensor import TensorView

KINDS = ("tiny-random-e2b", "tiny-random-e4b", "tiny-random-12b", "tiny-random-26b-a4b", "tiny-random-31b")
NUM_TOKENS = 29  # three and a half windows of these models
GAIN = 1.5  # of matrices over 1 / sqrt(fan-in): enough that logits spread and an error shows


@dataclass(frozen=True, eq=False)
class Subject:
    """One model with a prompt for it."""

    name: str
    text: TextConfig
    tensors: Mapping[str, TensorView] = field(repr=False)
    ids: tuple[int, ...]


def subject(name: str) -> Subject:
    """The preset `name` with made-up weights."""
    text = preset(name).text
    tensors = {tensor: made_tensor(tensor, shape) for tensor, shape in text_tensors(text).items()}
    return Subject(name, text, tensors, _ids(text))


def made_tensor(name: str, shape: tuple[int, ...]) -> TensorView:
    """Numbers of the right size for the tensor called `name`: matrices around 0, norms and scalars around 1."""
    evenly = _fractions(zlib.crc32(name.encode()), math.prod(shape)) - 0.5
    if len(shape) > 1:
        gain = 1.0 if "embed_tokens" in name else GAIN
        numbers = evenly * (math.sqrt(12) * gain / math.sqrt(_fan_in(name, shape)))
    else:
        numbers = _centre(name) + evenly * 0.6
    bits = numbers.astype("<f4").view("<u4") >> 16  # cut to bfloat16
    return TensorView(name, shape, "BF16", memoryview(bits.astype("<u2").tobytes()))


def _fan_in(name: str, shape: tuple[int, ...]) -> int:
    """Numbers that one result is a sum of; a table's row is as wide as what it is scaled by."""
    return 8 if "embed_tokens_per_layer" in name else shape[-1]


def _centre(name: str) -> float:
    """Norms of queries and keys set how sharp attention is; at 1 small models of random weights would be chaotic."""
    return 0.35 if name.endswith(("q_norm.weight", "k_norm.weight")) else 1.0


def _ids(text: TextConfig) -> tuple[int, ...]:
    """A prompt of ordinary tokens, <bos> first."""
    first, past = 300, text.num_readable_ids  # the lowest ids are control tokens and bytes
    drawn = first + (_fractions(7, NUM_TOKENS - 1) * (past - first)).astype(np.int64)
    return (text.bos_token_id, *map(int, drawn))


def _fractions(seed: int, count: int) -> np.ndarray:
    """`count` numbers from 0 to 1, exact everywhere: the mixing steps of MurmurHash3 over a counter."""
    x = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(seed)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    x ^= x >> np.uint32(16)
    return x.astype(np.float64) / 2.0**32
