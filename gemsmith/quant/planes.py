"""A q8 matrix in two planes: the upper nibbles of its codes laid out as q4, then the lower ones, without scales.

For a head, of which drawing a token reads the upper plane and some rows of the lower one (native/engine/likeliest.cpp).
The same codes and scales as q8, in as many bytes. Letters: B row blocks, G groups.
"""

from __future__ import annotations

import numpy as np

from gemsmith.quant.family import GRIDS, ceil_div, packed_bytes

_Q8, _Q4 = GRIDS["q8"], GRIDS["q4"]
_PAIRS = (4, 2, 128)  # a block's codes: [pair of quads, quad of the pair, both halves]


def upper_bytes(nbytes: int) -> int:
    """Bytes of the upper plane of a head of `nbytes`, all that most written tokens read of it."""
    return nbytes // _Q8.block_bytes * _Q4.block_bytes


def split(packed: np.ndarray, cols: int) -> tuple[np.ndarray, np.ndarray]:
    """Packed q8 bytes of whole row blocks to those of the upper and of the lower plane."""
    groups = ceil_div(cols, _Q8.group)
    data = packed.reshape(-1, groups, _Q8.block_bytes)
    codes = data[..., : _Q8.code_bytes].reshape(-1, groups, *_PAIRS)
    first, second = codes[:, :, :, 0], codes[:, :, :, 1]
    upper = np.empty((len(data), groups, _Q4.block_bytes), np.uint8)
    upper[..., : _Q4.code_bytes] = (first >> 4 | second & 0xF0).reshape(len(data), groups, -1)
    upper[..., _Q4.code_bytes :] = data[..., _Q8.code_bytes :]
    return upper.reshape(-1), (first & 0x0F | second << 4).reshape(-1)


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


def planes_of(packed: np.ndarray, rows: int, cols: int) -> tuple[np.ndarray, np.ndarray]:
    """The two planes of a whole packed head, as they stand."""
    at = packed_bytes("q4", rows, cols)
    return packed[:at], packed[at:]
