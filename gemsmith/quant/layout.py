"""Codes and scales to the bytes that kernels read, and back. This is the definition; kernels are tested against it.

Inside a block the codes stand as a dot product of bytes wants them (x86 `vpdpbusd`, 16 lanes of 4): 64-byte vectors of
16 rows by 4 columns, a "quad". Byte 4 * (row % 16) + column % 4 of vector (quad, half), half = row // 16.

    q8   vectors (quad, half), quads 0..7
    q4   vectors (pair, half), pairs 0..3: quad 2 * pair in the low nibble, 2 * pair + 1 in the high one
    q2   vectors (four, half), fours 0..3: quad 4 * four + t in the bits 2t and 2t + 1

After the codes, the 32 rows' scales as float16. Floats stand as [column][32 rows]. Letters: B row blocks, G groups.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gemsmith.quant.family import BLOCK_ROWS, GRIDS, ITEM_BYTES, ceil_div, packed_bytes
from gemsmith.quant.floats import as_floats, float_bits


class Codes(NamedTuple):
    """A quantised matrix, not laid out: unsigned codes [R, C] and float16 scales [R, groups]."""

    codes: np.ndarray
    scales: np.ndarray


def lay_out(codes: np.ndarray, scales: np.ndarray, format: str) -> np.ndarray:
    """The packed bytes of codes [R, C] and scales [R, ceil(C / group)], padded to whole blocks."""
    grid = GRIDS[format]
    (rows, cols), groups = codes.shape, ceil_div(codes.shape[1], grid.group)
    blocks = ceil_div(rows, BLOCK_ROWS)
    assert scales.shape == (rows, groups) and scales.dtype == np.float16, (codes.shape, scales.shape, scales.dtype)
    u = np.full((blocks * BLOCK_ROWS, groups * grid.group), grid.rest, np.uint8)
    u[:rows, :cols] = codes
    d = np.zeros((blocks * BLOCK_ROWS, groups), "<f2")
    d[:rows] = scales
    packed = np.empty((blocks, groups, grid.block_bytes), np.uint8)
    packed[:, :, : grid.code_bytes] = _vectors(u, format).reshape(blocks, groups, grid.code_bytes)
    by_block = np.ascontiguousarray(d.reshape(blocks, BLOCK_ROWS, groups).transpose(0, 2, 1))
    packed[:, :, grid.code_bytes :] = by_block.view(np.uint8)
    return packed.reshape(-1)


def take_apart(packed: np.ndarray, format: str, rows: int, cols: int) -> Codes:
    """The codes and scales of packed bytes: what `lay_out` was given."""
    grid = GRIDS[format]
    blocks, groups = ceil_div(rows, BLOCK_ROWS), ceil_div(cols, grid.group)
    data = packed.reshape(blocks, groups, grid.block_bytes)
    scales = np.ascontiguousarray(data[:, :, grid.code_bytes :]).view("<f2")
    u = _codes(data[:, :, : grid.code_bytes], format)
    d = scales.transpose(0, 2, 1).reshape(blocks * BLOCK_ROWS, groups)
    return Codes(u[:rows, :cols], np.ascontiguousarray(d[:rows]).astype(np.float16, copy=False))


def lay_out_floats(values: np.ndarray, format: str) -> np.ndarray:
    """The packed bytes of a float matrix: [row block][column][32 rows]."""
    rows, cols = values.shape
    blocks = ceil_div(rows, BLOCK_ROWS)
    bits = float_bits(values, format)
    padded = np.zeros((blocks * BLOCK_ROWS, cols), bits.dtype)
    padded[:rows] = bits
    return np.ascontiguousarray(padded.reshape(blocks, BLOCK_ROWS, cols).transpose(0, 2, 1)).view(np.uint8).reshape(-1)


def take_apart_floats(packed: np.ndarray, format: str, rows: int, cols: int) -> np.ndarray:
    """The float matrix of packed bytes."""
    assert packed.nbytes == packed_bytes(format, rows, cols), (packed.nbytes, format, rows, cols)
    data = np.ascontiguousarray(packed).view(f"<u{ITEM_BYTES[format]}")
    stood = data.reshape(ceil_div(rows, BLOCK_ROWS), cols, BLOCK_ROWS).transpose(0, 2, 1).reshape(-1, cols)[:rows]
    return as_floats(np.ascontiguousarray(stood), format)


def _vectors(u: np.ndarray, format: str) -> np.ndarray:
    """Padded codes [32 B, group G] to bytes [B, G, …] in the order of the vectors."""
    grid = GRIDS[format]
    blocks, groups = u.shape[0] // BLOCK_ROWS, u.shape[1] // grid.group
    per_byte = 8 // grid.bits
    # rows: block, half, row of 16; columns: group, vector, quad inside the byte, column of 4
    split = u.reshape(blocks, 2, 16, groups, -1, per_byte, 4).transpose(0, 3, 4, 5, 1, 2, 6)
    out = np.zeros((*split.shape[:3], 2, 16, 4), np.uint8)
    for t in range(per_byte):
        out |= split[:, :, :, t] << np.uint8(t * grid.bits)
    return out


def _codes(vectors: np.ndarray, format: str) -> np.ndarray:
    """Bytes [B, G, bytes of a block's codes] to padded codes [32 B, group G]."""
    grid = GRIDS[format]
    blocks, groups, _ = vectors.shape
    per_byte, mask = 8 // grid.bits, np.uint8((1 << grid.bits) - 1)
    stood = vectors.reshape(blocks, groups, -1, 2, 16, 4)
    parts = [(stood >> np.uint8(t * grid.bits)) & mask for t in range(per_byte)]
    split = np.stack(parts, axis=3)  # [block, group, vector, quad inside the byte, half, row, column]
    return split.transpose(0, 4, 5, 1, 2, 3, 6).reshape(blocks * BLOCK_ROWS, groups * grid.group)
