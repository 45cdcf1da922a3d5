"""The tensors of `random_checkpoint.py`: how large their numbers are, and blocks of them drawn without quantising.

A table turns random bits into floats or codes that are normally distributed: one look a number, nothing to convert.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from functools import cache
from math import prod
from statistics import NormalDist
from typing import NamedTuple

import gguf
import numpy as np

from gemsmith.config import TextConfig
from gemsmith.config.tensors import TEXT_PREFIX

CHUNK = 1 << 20  # numbers drawn at a time
LOGIT_SPREAD = 3.0
SCORE_SPREAD = 2.0  # of a query with a key


class Spread(NamedTuple):
    """How the numbers of a tensor are distributed."""

    mean: float
    deviation: float


def spread(name: str, shape: tuple[int, ...], text: TextConfig) -> Spread:
    """Matrices keep the size of what they turn; norms are near 1, but for those that set scores' and logits' spread."""
    if name.endswith("layer_scalar"):
        return Spread(0.95, 0.02)  # what many layers add up to stays small, and the first token does not fade at once
    if name.endswith(("q_norm.weight", "k_norm.weight")):
        size = (SCORE_SPREAD / shape[0] ** 0.5) ** 0.5  # attention does not divide by the root of the head's size
        return Spread(size, 0.05 * size)
    if name == f"{TEXT_PREFIX}norm.weight":
        return Spread(LOGIT_SPREAD, 0.1)
    if len(shape) == 1:
        return Spread(1.0, 0.05)
    if name.endswith("router.proj.weight"):
        return Spread(0.0, 1.0)  # its input has length 1
    if name.endswith("embed_tokens_per_layer.weight"):
        return Spread(0.0, text.hidden_size_per_layer_input**-0.5)  # rows are scaled by the root of a layer's width
    return Spread(0.0, shape[-1] ** -0.5)


def chunks(name: str, shape: tuple[int, ...], kind: str, text: TextConfig, seed: int) -> Iterator[bytes]:
    """The bytes of a tensor, drawn; each tensor has a generator of its own, so order does not matter."""
    numbers = np.random.Generator(np.random.SFC64([seed, zlib.crc32(name.encode())]))
    mean, deviation = spread(name, shape, text)
    draw = DRAW[kind](mean, deviation)
    for start in range(0, prod(shape), CHUNK):
        yield draw(numbers, min(CHUNK, prod(shape) - start))


Draw = Callable[[np.random.Generator, int], bytes]


@cache
def quantiles(count: int) -> np.ndarray:
    """Numbers that, drawn alike, are normally distributed."""
    normal = NormalDist()
    return np.array([normal.inv_cdf((i + 0.5) / count) for i in range(count)], np.float32)


def draw_floats(kind: str) -> Callable[[float, float], Draw]:
    """Floats looked up by 16 random bits: one look a number, and nothing to convert."""

    def prepared(mean: float, deviation: float) -> Draw:
        table = mean + np.float32(deviation) * quantiles(1 << 16)
        if kind == "BF16":
            table = (table.view(np.uint32) >> 16).astype(np.uint16)
        table = table.astype(np.float16) if kind == "F16" else table
        return lambda numbers, count: table[words(numbers, count)].tobytes()

    return prepared


def draw_q8_0(mean: float, deviation: float) -> Draw:
    """Blocks of 32 signed bytes after their scale."""
    table = np.clip(np.rint(quantiles(256) * 55), -127, 127).astype(
        np.int8
    )  # the largest of 32 is about 2.2 deviations
    scales = scale_table(deviation / float(table.std()))

    def draw(numbers: np.random.Generator, count: int) -> bytes:
        blocks = np.empty((count // 32, 34), np.uint8)
        blocks[:, :2] = scales[octets(numbers, count // 32)].view(np.uint8).reshape(-1, 2)
        blocks[:, 2:] = table[octets(numbers, count)].view(np.uint8).reshape(-1, 32)
        return blocks.tobytes()

    return draw


def draw_q4_0(mean: float, deviation: float) -> Draw:
    """Blocks of 16 bytes of two codes after their scale. Codes lie around 8 evenly, so that weights have mean 0."""
    codes = np.clip(np.rint(quantiles(256) * 3.5), -7, 7).astype(np.int8)
    low, high = (codes + 8).astype(np.uint8)[None, :], (codes + 8).astype(np.uint8)[:, None]
    pairs = (low | high << 4).reshape(-1)
    scales = scale_table(deviation / float(codes.std()))

    def draw(numbers: np.random.Generator, count: int) -> bytes:
        blocks = np.empty((count // 32, 18), np.uint8)
        blocks[:, :2] = scales[octets(numbers, count // 32)].view(np.uint8).reshape(-1, 2)
        blocks[:, 2:] = pairs[words(numbers, count // 2)].reshape(-1, 16)
        return blocks.tobytes()

    return draw


def draw_q6_k(mean: float, deviation: float) -> Draw:
    """Super-blocks of 256: 6-bit codes in two places, a signed scale for each 16, a scale for all."""
    codes = np.clip(np.rint(quantiles(256) * 17), -31, 31).astype(np.int8)  # the largest of 16 is near 32
    u = (codes + 32).astype(np.uint8)
    both = u[None, :] | u[:, None].astype(np.uint16) << 8  # numbers i and i + 64 of a half, by 16 random bits
    nibbles = ((both & 15) | (both >> 4 & 0xF0)).astype(np.uint8).reshape(-1)
    above = ((both >> 4 & 3) | (both >> 8 & 0x30)).astype(np.uint8).reshape(-1)  # two bits each, where `high` has them
    subs = np.concatenate([np.linspace(-128, -64, 128), np.linspace(64, 127, 128)]).astype(np.int8)
    size = float(codes.std()) * float(np.sqrt((subs.astype(np.float64) ** 2).mean()))
    scales = scale_table(deviation / size)

    def draw(numbers: np.random.Generator, count: int) -> bytes:
        some = words(numbers, count // 2).reshape(-1, 2, 2, 32)
        blocks = np.empty((count // 256, 210), np.uint8)
        blocks[:, :128] = nibbles[some].reshape(-1, 128)
        high = above[some]
        blocks[:, 128:192] = (high[:, :, 0] | high[:, :, 1] << 2).reshape(-1, 64)
        blocks[:, 192:208] = subs[octets(numbers, count // 16)].view(np.uint8).reshape(-1, 16)
        blocks[:, 208:] = scales[octets(numbers, count // 256)].view(np.uint8).reshape(-1, 2)
        return blocks.tobytes()

    return draw


def scale_table(scale: float) -> np.ndarray:
    """256 scales that vary by a quarter around one."""
    factors = np.linspace(0.75, 1.25, 256)
    return (scale * factors / np.sqrt((factors**2).mean())).astype(np.float16)


def words(numbers: np.random.Generator, count: int) -> np.ndarray:
    return np.frombuffer(numbers.bytes(2 * count), np.uint16)


def octets(numbers: np.random.Generator, count: int) -> np.ndarray:
    return np.frombuffer(numbers.bytes(count), np.uint8)


DRAW = {kind: draw_floats(kind) for kind in ("F32", "F16", "BF16")} | {
    "Q8_0": draw_q8_0,
    "Q6_K": draw_q6_k,
    "Q4_0": draw_q4_0,
}


def nbytes(shape: tuple[int, ...], kind: str) -> int:
    size, block = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    return prod(shape) // size * block
