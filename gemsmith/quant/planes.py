"""A q8 matrix in two planes: the upper nibbles of its codes laid out as q4, then the lower ones, without scales.

For a head, of which drawing a token reads the upper plane and some rows of the lower one (native/engine/likeliest.cpp).
The same codes and scales as q8, in as many bytes; behind them two float32 for each row, padding included, which say how
its lower nibbles lie: how far their mean is from 7.5, and their standard deviation. Letters: B row blocks, G groups.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gemsmith.quant.family import BLOCK_ROWS, DIGITS_BYTES, GRIDS, ceil_div, packed_bytes, row_block_bytes

MIDDLE = 7.5  # of numbers from 0 to 15

_Q8, _Q4 = GRIDS["q8"], GRIDS["q4"]
_PAIRS = (4, 2, 128)  # a block's codes: [pair of quads, quad of the pair, both halves]


class Planes(NamedTuple):
    """A head, taken apart: q4's bytes, the lower nibbles' bytes, and what is known of these, float32 [rows, 2]."""

    upper: np.ndarray
    lower: np.ndarray
    digits: np.ndarray


def upper_plane(packed: np.ndarray, cols: int) -> np.ndarray:
    """Of packed q8 bytes of whole row blocks: a q4 matrix whose codes are the upper nibbles."""
    data, codes = _taken(packed, cols)
    upper = np.empty((*data.shape[:2], _Q4.block_bytes), np.uint8)
    upper[..., : _Q4.code_bytes] = (codes[:, :, :, 0] >> 4 | codes[:, :, :, 1] & 0xF0).reshape(*data.shape[:2], -1)
    upper[..., _Q4.code_bytes :] = data[..., _Q8.code_bytes :]
    return upper.reshape(-1)


def lower_plane(packed: np.ndarray, cols: int) -> np.ndarray:
    """Of packed q8 bytes of whole row blocks: the lower nibbles, in the same order."""
    codes = _taken(packed, cols)[1]
    return (codes[:, :, :, 0] & 0x0F | codes[:, :, :, 1] << 4).reshape(-1)


def digits(packed: np.ndarray, cols: int) -> np.ndarray:
    """Of packed q8 bytes of whole row blocks: mean, from 7.5, and deviation of each row's lower nibbles."""
    codes = _taken(packed, cols)[1]
    nibbles = (codes & 0x0F).reshape(*codes.shape[:2], 8, 2, 16, 4)  # [B, G, quad, half, row, column]; 0 in padding
    sums = nibbles.sum(axis=(1, 2, 5), dtype=np.uint32).reshape(-1)
    squares = np.square(nibbles, dtype=np.uint8).sum(axis=(1, 2, 5), dtype=np.uint32).reshape(-1)
    means = sums / cols
    spreads = np.sqrt(np.maximum(squares / cols - means**2, 0))
    return np.stack([np.abs(means - MIDDLE), spreads], axis=1).astype("<f4")


def split(packed: np.ndarray, cols: int) -> Planes:
    """All three of packed q8 bytes of whole row blocks."""
    return Planes(upper_plane(packed, cols), lower_plane(packed, cols), digits(packed, cols))


def join(upper: np.ndarray, lower: np.ndarray, cols: int) -> np.ndarray:
    """The packed q8 bytes that `split` was given."""
    groups = ceil_div(cols, _Q8.group)
    data = upper.reshape(-1, groups, _Q4.block_bytes)
    above = data[..., : _Q4.code_bytes].reshape(-1, groups, 4, 128)
    below = lower.reshape(above.shape)
    packed = np.empty((len(data), groups, _Q8.block_bytes), np.uint8)
    codes = np.stack([above << 4 | below & 0x0F, above & 0xF0 | below >> 4], axis=3)
    packed[..., : _Q8.code_bytes] = codes.reshape(len(data), groups, -1)
    packed[..., _Q8.code_bytes :] = data[..., _Q4.code_bytes :]
    return packed.reshape(-1)


def planes_of(packed: np.ndarray, rows: int, cols: int) -> Planes:
    """A whole packed head, taken apart where it stands."""
    upper = packed_bytes("q4", rows, cols)
    behind = ceil_div(rows, BLOCK_ROWS) * DIGITS_BYTES
    known = np.frombuffer(packed[-behind:].tobytes(), "<f4").reshape(-1, 2)
    return Planes(packed[:upper], packed[upper:-behind], known)


def upper_bytes(rows: int, cols: int) -> int:
    """Bytes of the upper plane, all that most written tokens read of a head."""
    return ceil_div(rows, BLOCK_ROWS) * row_block_bytes("q4", cols)


def _taken(packed: np.ndarray, cols: int) -> tuple[np.ndarray, np.ndarray]:
    """Blocks [B, G, bytes], and their codes by pairs of quads."""
    groups = ceil_div(cols, _Q8.group)
    data = packed.reshape(-1, groups, _Q8.block_bytes)
    return data, data[..., : _Q8.code_bytes].reshape(-1, groups, *_PAIRS)
