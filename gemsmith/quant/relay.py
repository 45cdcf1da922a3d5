"""GGUF's Q4_0 and Q8_0 blocks laid out anew: the same grid in another order, so not a bit of a value changes."""

from __future__ import annotations

import numpy as np

from gemsmith.quant.floats import check_finite
from gemsmith.quant.layout import lay_out
from gemsmith.quant.rows import CODES_OF, codes_of_rows


def relay(data: np.ndarray, format: str, cols: int, *, name: str = "the matrix", first_row: int = 0) -> np.ndarray:
    """Packed bytes of rows of "q4_0" or "q8_0" blocks, uint8 [R, row_bytes]; ModelFileError if a scale is no number."""
    codes = codes_of_rows(data, format, cols)
    check_finite(codes.scales, f"a scale of {name}", first_row)
    return lay_out(*codes, CODES_OF[format])


def relay_q4_0(blocks: np.ndarray) -> np.ndarray:
    """Packed q4 of blocks uint8 [R, C / 32, 18]."""
    return relay(blocks.reshape(blocks.shape[0], -1), "q4_0", 32 * blocks.shape[1])


def relay_q8_0(blocks: np.ndarray) -> np.ndarray:
    """Packed q8 of blocks uint8 [R, C / 32, 34]."""
    return relay(blocks.reshape(blocks.shape[0], -1), "q8_0", 32 * blocks.shape[1])
