"""Tables that are read by the row: row-major, each row in GGUF's own row format, so that one row is one read.

    q4_0   32 values: float16 scale, 16 bytes (value i in the low nibble of byte i, value i + 16 in the high one)
    q8_0   32 values: float16 scale, 32 signed bytes
    q6_k   256 values, as `q6_k.py` says: a table that came so is kept so, and none is made
    bf16, f16, f32

Source of the blocks: ggml's `block_q4_0` and `block_q8_0` (ggml-common.h). Rows are padded to whole blocks.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from gemsmith.quant.choose import SLAB_VALUES, check_fits, chosen
from gemsmith.quant.family import ITEM_BYTES, ceil_div
from gemsmith.quant.floats import LARGEST_FLOAT16, as_floats, check_finite, check_fits_float16, float_bits
from gemsmith.quant.layout import Codes
from gemsmith.quant.q6_k import SUPER_BLOCK, SUPER_BLOCK_BYTES, super_scales, unpack_q6_k
from gemsmith.quant.twin import twin

RowFormat = Literal["q4_0", "q8_0", "q6_k", "bf16", "f16", "f32"]

ROW_FORMATS: tuple[RowFormat, ...] = ("q4_0", "q8_0", "q6_k", "bf16", "f16", "f32")
BLOCK_VALUES = {"q4_0": 32, "q8_0": 32, "q6_k": SUPER_BLOCK}
BLOCK_BYTES = {"q4_0": 18, "q8_0": 34, "q6_k": SUPER_BLOCK_BYTES}
CODES_OF = {"q4_0": "q4", "q8_0": "q8"}  # the same grid, otherwise laid out


def row_bytes(format: str, cols: int) -> int:
    """Bytes of one row."""
    if format in BLOCK_BYTES:
        return ceil_div(cols, BLOCK_VALUES[format]) * BLOCK_BYTES[format]
    return cols * ITEM_BYTES[format]


def pack_rows(
    values: np.ndarray, format: str, *, name: str = "the table", first_row: int = 0, threads: int = 1
) -> np.ndarray:
    """Float32 values [R, C] to bytes [R, row_bytes]; ModelFileError as `quantise`. `threads` are the native twin's."""
    values = np.ascontiguousarray(values, np.float32)
    rows, cols = values.shape
    if format in CODES_OF:
        check_fits(values, CODES_OF[format], name, first_row)
        if (native := twin()) is not None:
            packed: np.ndarray = native.pack_table(values, format, threads)
            return packed
        return pack_rows_slowly(values, format)
    assert format in ITEM_BYTES, format
    check_finite(values, name, first_row)
    if format == "f16":
        check_fits_float16(values, LARGEST_FLOAT16, name)
    return float_bits(values, format).view(np.uint8).reshape(rows, row_bytes(format, cols))


def pack_rows_slowly(values: np.ndarray, format: str) -> np.ndarray:
    """The definition of `pack_rows` for blocks, of numbers that fit."""
    rows, cols = values.shape
    step = max(1, SLAB_VALUES // cols)
    parts = [rows_of_codes(chosen(values[row : row + step], CODES_OF[format]), format) for row in range(0, rows, step)]
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def unpack_rows(data: np.ndarray, format: str, cols: int) -> np.ndarray:
    """Bytes [R, row_bytes] to float32 values [R, cols]."""
    data = np.ascontiguousarray(data)
    if format not in BLOCK_BYTES:
        return as_floats(data.view(f"<u{ITEM_BYTES[format]}"), format)
    if format == "q6_k":
        return unpack_q6_k(data.reshape(-1, SUPER_BLOCK_BYTES)).reshape(len(data), -1)[:, :cols]
    codes, scales = codes_of_rows(data, format, cols)
    levels = codes.astype(np.float32) - np.float32(8 if format == "q4_0" else 128)
    return levels * np.repeat(scales.astype(np.float32), BLOCK_VALUES[format], axis=1)[:, :cols]


def rows_of_codes(codes: Codes, format: str) -> np.ndarray:
    """Codes and scales as rows of blocks [R, row_bytes]."""
    rows, cols = codes.codes.shape
    blocks = ceil_div(cols, BLOCK_VALUES[format])
    u = np.full((rows, blocks * BLOCK_VALUES[format]), 8 if format == "q4_0" else 128, np.uint8)
    u[:, :cols] = codes.codes
    by_block = u.reshape(rows, blocks, BLOCK_VALUES[format])
    out = np.empty((rows, blocks, BLOCK_BYTES[format]), np.uint8)
    out[:, :, :2] = np.ascontiguousarray(codes.scales, "<f2").view(np.uint8).reshape(rows, blocks, 2)
    out[:, :, 2:] = (by_block[:, :, :16] | (by_block[:, :, 16:] << 4)) if format == "q4_0" else by_block ^ 0x80
    return out.reshape(rows, -1)


def codes_of_rows(data: np.ndarray, format: str, cols: int) -> Codes:
    """Rows of blocks [R, row_bytes] as codes and scales: what `rows_of_codes` was given."""
    rows = data.shape[0]
    stored = np.ascontiguousarray(data).reshape(rows, -1, BLOCK_BYTES[format])[:, :, 2:]
    u = np.concatenate([stored & 15, stored >> 4], axis=2) if format == "q4_0" else stored ^ 0x80
    return Codes(np.ascontiguousarray(u.reshape(rows, -1)[:, :cols]), scales_of_rows(data, format))


def scales_of_rows(data: np.ndarray, format: str) -> np.ndarray:
    """The float16 scales of rows of blocks [R, row_bytes], one a block: what may be no number in them."""
    blocks = np.ascontiguousarray(data).reshape(-1, BLOCK_BYTES[format])
    if format == "q6_k":
        scales = super_scales(blocks)
    else:
        scales = np.ascontiguousarray(blocks[:, :2]).view("<f2")[:, 0].astype(np.float16, copy=False)
    return scales.reshape(data.shape[0], -1)
