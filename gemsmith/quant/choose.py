"""Values to codes and scales: for each group the float16 scale, among several, that leaves the least squared error.

A scale is rounded to float16 first and the codes are chosen for what it then is. Everything is float32, in one order
of operations that `native/quant` repeats, so that both give equal bytes:

    q8   scale = largest / 127. With 255 steps no search is worth its time.
    q4   16 steps from -8 to 7, so the sign of the scale decides which end has one more (as llama.cpp's Q4_0 does with
         its largest number). Tried are scales that put the largest number at several places about either end.
    q2   4 steps, -3 -1 1 3: tried are multiples of the root mean square.

For q4 and q2 the best of those is then refined twice by least squares, scale = sum(x l) / sum(l l) over the chosen
levels l, and the refinement is kept where the error falls. A group too small for a float16 scale becomes zeros: below
5e-7 for q4. Arrays are [position in the group, groups], so that sums over a group are chains of plain additions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gemsmith.quant.family import GRIDS
from gemsmith.quant.floats import LARGEST_FLOAT16, check_finite, check_fits_float16
from gemsmith.quant.layout import Codes

# where the largest number of a group is put; found by trying, on normal and heavy-tailed weights
Q4_PLACES = (-8.0, -7.5, -8.5, -9.0, 7.0, 7.5, 8.0, 8.5)
Q2_MULTIPLES = (0.40, 0.47, 0.54, 0.61, 0.70)
NUM_REFINEMENTS = 2
SLAB_VALUES = 1 << 18  # to quantise at a time: what is in hand then stays in the processor's cache
LARGEST = {"q8": 127.0, "q4": 7.0, "q2": 3.0}  # times a float16: the largest number that a format holds


def quantise(values: np.ndarray, format: str, *, name: str = "the matrix", first_row: int = 0) -> Codes:
    """Codes [R, C] and float16 scales [R, groups] of float32 values [R, C].

    ModelFileError, with `name` and the place (rows counted from `first_row`), for NaN and infinities, and for numbers
    beyond a float16 scale.
    """
    values = np.asarray(values, np.float32)
    check_fits(values, format, name, first_row)
    return chosen(values, format)


def check_fits(values: np.ndarray, format: str, name: str, first_row: int) -> None:
    """ModelFileError for NaN, infinities and what is beyond the format."""
    check_finite(values, name, first_row)
    check_fits_float16(values, LARGEST[format] * LARGEST_FLOAT16, name)


def chosen(values: np.ndarray, format: str) -> Codes:
    """`quantise` for values that fit the format."""
    (rows, cols), group = values.shape, GRIDS[format].group
    groups = -(-cols // group)
    padded = np.zeros((rows, groups * group), np.float32)
    padded[:, :cols] = values
    x = np.ascontiguousarray(padded.reshape(rows * groups, group).T)
    levels, scales = CHOOSE[format](x)
    codes = (levels.T + np.float32(GRIDS[format].offset)) / np.float32(GRIDS[format].step)
    return Codes(np.ascontiguousarray(codes.astype(np.uint8).reshape(rows, -1)[:, :cols]), scales.reshape(rows, groups))


def _choose_q8(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    most = np.max(np.abs(x), axis=0)
    scales = (most / np.float32(127)).astype(np.float16)
    short = most > np.float32(127.5) * scales.astype(np.float32)  # a tiny one, rounded down by half of itself
    scales = (scales.view(np.uint16) + short).astype(np.uint16).view(np.float16)  # the next float16
    return _levels_q8(x, scales.astype(np.float32)), scales


def _choose_q4(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    largest = np.take_along_axis(x, np.argmax(np.abs(x), axis=0)[None], axis=0)[0]
    return _best(x, _levels_q4, [largest / np.float32(place) for place in Q4_PLACES])


def _choose_q2(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = np.sqrt(_sum(x * x) / np.float32(x.shape[0]))
    return _best(x, _levels_q2, [size * np.float32(multiple) for multiple in Q2_MULTIPLES])


CHOOSE = {"q8": _choose_q8, "q4": _choose_q4, "q2": _choose_q2}
Levels = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _best(x: np.ndarray, levels_of: Levels, candidates: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Of the candidates the one with the least squared error, the earlier one on a tie; then refined."""
    levels, scales, error = _tried(x, levels_of, candidates[0])
    for step in range(1, len(candidates) + NUM_REFINEMENTS):
        asked = candidates[step] if step < len(candidates) else _least_squares(x, levels)
        found, tried, left = _tried(x, levels_of, asked)
        better = left < error
        error = np.where(better, left, error)
        levels = np.where(better, found, levels)
        scales = np.where(better, tried, scales)
    return levels, scales


def _tried(x: np.ndarray, levels_of: Levels, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The levels that a scale gives, what it is as a float16, and the squared error that it leaves."""
    scales = _as_float16(asked)
    d = scales.astype(np.float32)
    levels = levels_of(x, d)
    left = x - levels * d
    return levels, scales, _sum(left * left)


def _levels_q8(x: np.ndarray, d: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(x * _inverse(d)), np.float32(-127), np.float32(127))


def _levels_q4(x: np.ndarray, d: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(x * _inverse(d)), np.float32(-8), np.float32(7))


def _levels_q2(x: np.ndarray, d: np.ndarray) -> np.ndarray:
    """-3, -1, 1 or 3: steps of two, cut at -2, 0 and 2."""
    halves = np.floor(x * (_inverse(d) * np.float32(0.5)))
    return np.clip(halves, np.float32(-2), np.float32(1)) * np.float32(2) + np.float32(1)


def _inverse(d: np.ndarray) -> np.ndarray:
    return np.divide(np.float32(1), d, out=np.zeros_like(d), where=d != 0)


def _least_squares(x: np.ndarray, levels: np.ndarray) -> np.ndarray:
    above, below = _sum(x * levels), _sum(levels * levels)
    return np.divide(above, below, out=np.zeros_like(above), where=below != 0)


def _sum(x: np.ndarray) -> np.ndarray:
    """Over each group, first to last: numpy's own sum has an order that depends on the shape."""
    total = x[0].copy()
    for row in x[1:]:
        total += row
    return total


def _as_float16(scales: np.ndarray) -> np.ndarray:
    """Rounded, and a zero without a sign."""
    return np.clip(scales, np.float32(-LARGEST_FLOAT16), np.float32(LARGEST_FLOAT16)).astype(np.float16) + np.float16(0)
