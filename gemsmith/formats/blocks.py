"""The values of quantised blocks, as float32: the definition that every faster reader is held against.

    Q4_0   32 numbers in 18 bytes: a float16 d, then 16 bytes of two codes; low nibbles are numbers 0-15, high ones
           16-31; a number is d · (code - 8)
    Q8_0   32 numbers in 34 bytes: a float16 d, then 32 signed bytes; a number is d · code
    Q6_K   256 numbers in 210 bytes: see `gemsmith/quant/q6_k.py`

Source: ggml, `dequantize_row_q4_0` and `dequantize_row_q8_0` (llama.cpp, ggml/src/ggml-quants.c). Numpy comes with the
first call: reading a file's header needs none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

BLOCK = {"Q4_0": 32, "Q8_0": 32, "Q6_K": 256}  # numbers
BLOCK_BYTES = {"Q4_0": 18, "Q8_0": 34, "Q6_K": 210}
CHUNK = 1 << 21  # numbers at a time: temporaries stay small


def dequantised(buffer: memoryview, dtype: str) -> np.ndarray:
    """All numbers of the blocks in `buffer`, in one row of float32; `dtype` is a key of BLOCK_BYTES."""
    import numpy as np

    from gemsmith.quant.q6_k import unpack_q6_k

    blocks = np.frombuffer(buffer, np.uint8).reshape(-1, BLOCK_BYTES[dtype])
    out = np.empty((len(blocks), BLOCK[dtype]), np.float32)
    step = CHUNK // BLOCK[dtype]
    for start in range(0, len(blocks), step):
        part = blocks[start : start + step]
        into = out[start : start + len(part)]
        if dtype == "Q6_K":
            into[:] = unpack_q6_k(part)
            continue
        if dtype == "Q4_0":
            into[:, :16], into[:, 16:] = part[:, 2:] & 15, part[:, 2:] >> 4
            into -= 8
        else:
            into[:] = part[:, 2:].view(np.int8)
        into *= np.ascontiguousarray(part[:, :2]).view("<f2").astype(np.float32)
    return out.reshape(-1)
