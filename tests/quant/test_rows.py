"""Rows of tables, and GGUF's blocks laid out anew: against the decoding of the `gguf` package."""

from __future__ import annotations

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize, quantize
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.errors import ModelFileError
from gemsmith.quant import ROW_FORMATS, pack_rows, relay_q4_0, relay_q8_0, row_bytes, unpack, unpack_rows

KINDS = {"q4_0": Kind.Q4_0, "q8_0": Kind.Q8_0}


def random(rows: int, cols: int) -> np.ndarray:
    return np.random.default_rng(rows + cols).standard_normal((rows, cols)).astype(np.float32)


@pytest.mark.parametrize("format, kind", KINDS.items())
def test_rows_are_what_gguf_reads(format: str, kind: Kind) -> None:
    rows = pack_rows(random(9, 160), format)
    assert rows.shape == (9, row_bytes(format, 160))
    np.testing.assert_array_equal(unpack_rows(rows, format, 160), dequantize(rows, kind))


@pytest.mark.slow
@given(st.integers(1, 70), st.integers(1, 5), st.sampled_from(sorted(KINDS)))
def test_relaying_changes_no_value(rows: int, blocks: int, format: str) -> None:
    stored = quantize(random(rows, 32 * blocks), KINDS[format])
    relay, packed = (relay_q4_0, "q4") if format == "q4_0" else (relay_q8_0, "q8")
    again = unpack(relay(stored.reshape(rows, blocks, -1)), packed, rows, 32 * blocks)
    np.testing.assert_array_equal(again, dequantize(stored, KINDS[format]))


def test_relaying_takes_every_code_and_odd_scale() -> None:
    blocks = np.random.default_rng(0).integers(0, 256, (33, 2, 18), dtype=np.uint8)
    blocks[:, :, 1] &= 0xBF  # finite scales: negative ones and subnormal ones too
    np.testing.assert_array_equal(
        unpack(relay_q4_0(blocks), "q4", 33, 64), dequantize(blocks.reshape(33, -1), Kind.Q4_0)
    )
    blocks = np.random.default_rng(0).integers(0, 256, (33, 2, 34), dtype=np.uint8)
    blocks[:, :, 1] &= 0xBF
    np.testing.assert_array_equal(
        unpack(relay_q8_0(blocks), "q8", 33, 64), dequantize(blocks.reshape(33, -1), Kind.Q8_0)
    )


def test_a_scale_that_is_no_number_is_refused() -> None:
    blocks = np.zeros((3, 2, 18), np.uint8)
    blocks[2, 1, :2] = 0, 0x7C
    with pytest.raises(ModelFileError, match=r"a scale of the matrix holds inf at \[2, 1\]"):
        relay_q4_0(blocks)


@pytest.mark.slow
@given(st.integers(1, 9), st.integers(1, 99), st.sampled_from([f for f in ROW_FORMATS if f != "q6_k"]))
def test_ragged_rows_keep_their_width(rows: int, cols: int, format: str) -> None:
    x = random(rows, cols)
    data = pack_rows(x, format)
    assert data.shape == (rows, row_bytes(format, cols))
    tolerance = {"q4_0": 0.5, "q8_0": 0.03, "bf16": 0.02, "f16": 2e-3, "f32": 0.0}[format]
    np.testing.assert_allclose(unpack_rows(data, format, cols), x, rtol=0, atol=tolerance)
