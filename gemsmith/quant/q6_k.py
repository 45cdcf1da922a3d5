"""GGUF's six bits, Q6_K: super-blocks of 256 numbers in 210 bytes. Read here, and never made.

    128 bytes   low nibbles: for each half of 128 numbers 64 bytes, number i in the low nibble of byte i, i + 64 in the
                high one
     64 bytes   the two bits above them: for each half 32 bytes, number i in the lowest bits of byte i, then i + 32,
                i + 64, i + 96
     16 bytes   a signed scale for each 16 numbers
      2 bytes   a float16 d for all             value = d · scale · (code - 32)

Source: ggml, `block_q6_K` (ggml/src/ggml-common.h) and `dequantize_row_q6_K` (ggml/src/ggml-quants.c). d · scale and
scale · (code - 32) fit a float32 exactly, so that a value is rounded once, in whatever order it is multiplied.
"""

from __future__ import annotations

import numpy as np

SUPER_BLOCK = 256  # numbers
SUPER_BLOCK_BYTES = 210
_HIGH, _SCALES, _D = 128, 192, 208  # where each part begins


def unpack_q6_k(blocks: np.ndarray) -> np.ndarray:
    """Super-blocks uint8 [B, 210] as float32 values [B, 256]."""
    B = len(blocks)
    low = blocks[:, :_HIGH].reshape(B, 2, 1, 64)
    high = blocks[:, _HIGH:_SCALES].reshape(B, 2, 1, 32)
    nibbles = np.concatenate([low & np.uint8(15), low >> np.uint8(4)], axis=2).reshape(B, 2, 4, 32)
    codes = nibbles | (high >> np.array([[0], [2], [4], [6]], np.uint8) & np.uint8(3)) << np.uint8(4)
    scales = super_scales(blocks).astype(np.float32)[:, None] * blocks[:, _SCALES:_D].view(np.int8).astype(np.float32)
    values = codes.reshape(B, 16, 16).astype(np.float32)
    values -= np.float32(32)
    values *= scales[:, :, None]
    return values.reshape(B, SUPER_BLOCK)


def super_scales(blocks: np.ndarray) -> np.ndarray:
    """The float16 d of super-blocks uint8 [B, 210], [B]: the only part that may be no number."""
    return np.ascontiguousarray(blocks[:, _D:]).view("<f2")[:, 0].astype(np.float16, copy=False)
