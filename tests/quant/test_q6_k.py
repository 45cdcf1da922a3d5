"""Q6_K as ggml defines it: against the decoding of the `gguf` package, and what is lost on the way to q8."""

from __future__ import annotations

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize

from bench.gguf_writing import blocks_of
from gemsmith.quant import pack, pack_rows, row_bytes, unpack, unpack_rows
from gemsmith.quant.rows import scales_of_rows


def any_rows(rows: int, blocks: int) -> np.ndarray:
    """Every code and scale; finite super-scales, negative and subnormal ones too."""
    data = np.random.default_rng(0).integers(0, 256, (rows, blocks, 210), dtype=np.uint8)
    data[:, :, 209] &= 0xBF
    return data.reshape(rows, -1)


def test_rows_are_what_gguf_reads() -> None:
    data = any_rows(7, 3)
    assert data.shape == (7, row_bytes("q6_k", 768))
    np.testing.assert_array_equal(unpack_rows(data, "q6_k", 768), dequantize(data, Kind.Q6_K), strict=True)


def test_the_place_of_every_part() -> None:
    """One block by hand, number by number as ggml's loop has them."""
    block = any_rows(1, 1)[0]
    d = np.frombuffer(block[208:].tobytes(), "<f2")[0].astype(np.float32)
    values = unpack_rows(block[None], "q6_k", 256)[0]
    for n in (0, 31, 32, 63, 64, 95, 96, 127, 128, 161, 200, 255):
        half, i = divmod(n, 128)
        nibble = int(block[64 * half + i % 64]) >> (4 * (i // 64)) & 15
        pair = int(block[128 + 32 * half + i % 32]) >> (2 * (i // 32)) & 3
        scale = int(block[192 + n // 16].astype(np.int8))
        assert values[n] == d * np.float32(scale * ((nibble | pair << 4) - 32)), n


def test_a_scale_that_is_no_number_is_found() -> None:
    data = any_rows(3, 2)
    data.reshape(3, 2, 210)[2, 1, 208:] = 0, 0x7C
    scales = scales_of_rows(data, "q6_k")
    assert scales.shape == (3, 2) and np.argwhere(~np.isfinite(scales)).tolist() == [[2, 1]]


@pytest.mark.slow
def test_what_q8_loses_of_it() -> None:
    """Half a per cent, a sixth of what six bits have lost before: this is why a matrix of them becomes q8."""
    x = np.random.default_rng(1).standard_normal((96, 1536)).astype(np.float32)
    six = dequantize(blocks_of(x, Kind.Q6_K), Kind.Q6_K)
    eight = unpack(pack(six, "q8"), "q8", *six.shape)
    size = np.sqrt((x**2).mean())
    lost, lost_before = (np.sqrt((difference**2).mean()) / size for difference in (eight - six, six - x))
    assert 0.004 < lost < 0.006 and lost < 0.3 * lost_before, (lost, lost_before)


def test_none_is_made() -> None:
    with pytest.raises(AssertionError, match="q6_k"):
        pack_rows(np.zeros((1, 256), np.float32), "q6_k")
