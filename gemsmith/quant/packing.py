"""A float matrix to packed bytes, and back. `pack` uses the native twin where it was built: the same bytes, sooner."""

from __future__ import annotations

import numpy as np

from gemsmith.quant.choose import SLAB_VALUES, check_fits, chosen
from gemsmith.quant.family import BLOCK_ROWS, GRIDS, PLANES, packed_bytes
from gemsmith.quant.floats import LARGEST_FLOAT16, check_finite, check_fits_float16
from gemsmith.quant.layout import lay_out, lay_out_floats, take_apart, take_apart_floats
from gemsmith.quant.planes import join, planes_of, split
from gemsmith.quant.twin import twin


def pack(
    values: np.ndarray, format: str, *, name: str = "the matrix", first_row: int = 0, threads: int = 1
) -> np.ndarray:
    """The packed bytes of a float32 matrix [R, C]; ModelFileError as `quantise`. `threads` are the native twin's."""
    values = np.ascontiguousarray(values, np.float32)
    if format == PLANES:
        packed = pack(values, "q8", name=name, first_row=first_row, threads=threads)
        upper, lower, known = split(packed, values.shape[1])
        return np.concatenate([upper, lower, known.view(np.uint8).reshape(-1)])
    if format not in GRIDS:
        check_finite(values, name, first_row)
        if format == "f16":
            check_fits_float16(values, LARGEST_FLOAT16, name)
        return lay_out_floats(values, format)
    check_fits(values, format, name, first_row)
    if (native := twin()) is not None:
        made: np.ndarray = native.pack_matrix(values, format, threads)
        return made
    return pack_slowly(values, format)


def pack_slowly(values: np.ndarray, format: str) -> np.ndarray:
    """The definition of `pack` for numbers that fit the format."""
    rows, cols = values.shape
    step = max(1, SLAB_VALUES // (cols * BLOCK_ROWS)) * BLOCK_ROWS
    parts = [lay_out(*chosen(values[row : row + step], format), format) for row in range(0, rows, step)]
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def unpack(packed: np.ndarray, format: str, rows: int, cols: int) -> np.ndarray:
    """The float32 matrix [rows, cols] that kernels compute with."""
    assert packed.dtype == np.uint8 and packed.nbytes == packed_bytes(format, rows, cols), (packed.nbytes, format)
    if format == PLANES:
        upper, lower, _ = planes_of(packed, rows, cols)
        return unpack(join(upper, lower, cols), "q8", rows, cols)
    if format not in GRIDS:
        return take_apart_floats(packed, format, rows, cols)
    grid = GRIDS[format]
    codes, scales = take_apart(packed, format, rows, cols)
    levels = grid.step * codes.astype(np.float32) - grid.offset
    return levels * np.repeat(scales.astype(np.float32), grid.group, axis=1)[:, :cols]
