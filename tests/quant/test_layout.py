"""Packed bytes: where each code, scale and float stands, and that nothing is lost on the way there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.quant import FORMATS, GRIDS, Codes, lay_out, pack, packed_bytes, take_apart, unpack

shapes = st.tuples(st.integers(1, 70), st.integers(1, 150))


def random_codes(format: str, rows: int, cols: int, seed: int) -> Codes:
    rng, grid = np.random.default_rng(seed), GRIDS[format]
    codes = rng.integers(0, 1 << grid.bits, (rows, cols), dtype=np.uint8)
    return Codes(codes, rng.standard_normal((rows, -(-cols // grid.group))).astype(np.float16))


def code_at(packed: np.ndarray, format: str, row: int, col: int, cols: int) -> tuple[int, float]:
    """One code and its scale, found by the words of native/types.h alone."""
    group, code_bytes = {"q8": (32, 1024), "q4": (32, 512), "q2": (64, 512)}[format]
    groups = -(-cols // group)
    block = packed[((row // 32) * groups + col // group) * (code_bytes + 64) :]
    quad, half = col % group // 4, row % 32 // 16
    byte = 4 * (row % 16) + col % 4
    if format == "q8":
        code = block[64 * (2 * quad + half) + byte]
    elif format == "q4":
        code = block[64 * (2 * (quad // 2) + half) + byte] >> 4 * (quad % 2) & 15
    else:
        code = block[64 * (2 * (quad // 4) + half) + byte] >> 2 * (quad % 4) & 3
    return int(code), float(block[code_bytes + 2 * (row % 32) :][:2].view("<f2")[0])


@pytest.mark.parametrize("format", GRIDS)
def test_every_code_stands_where_the_kernels_look(format: str) -> None:
    rows, cols = 45, 100
    codes, scales = random_codes(format, rows, cols, 0)
    packed = lay_out(codes, scales, format)
    for row in range(rows):
        for col in range(0, cols, 3):
            scale = scales[row, col // GRIDS[format].group]
            assert code_at(packed, format, row, col, cols) == (codes[row, col], scale), (row, col)


@pytest.mark.parametrize("format", ["f32", "f16", "bf16"])
def test_floats_stand_column_by_column(format: str) -> None:
    values = np.arange(40 * 5, dtype=np.float32).reshape(40, 5)  # all of them exact in each type
    packed = pack(values, format)
    shape = (2, 5, 32)
    if format == "bf16":
        stood = (packed.view("<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
    else:
        stood = packed.view({"f32": "<f4", "f16": "<f2"}[format]).reshape(shape)
    assert stood[1, 3, 2] == values[34, 3]
    assert stood[0, 4, 31] == values[31, 4]
    assert not stood[1, :, 8:].any()


@pytest.mark.slow
@given(shapes, st.sampled_from(sorted(GRIDS)), st.integers(0, 99))
def test_taking_apart_undoes_laying_out(shape: tuple[int, int], format: str, seed: int) -> None:
    codes = random_codes(format, *shape, seed)
    packed = lay_out(*codes, format)
    assert packed.nbytes == packed_bytes(format, *shape)
    again = take_apart(packed, format, *shape)
    np.testing.assert_array_equal(again.codes, codes.codes)
    np.testing.assert_array_equal(again.scales, codes.scales)


@pytest.mark.slow
@given(shapes, st.sampled_from(FORMATS))
def test_packed_bytes_are_as_many_as_announced(shape: tuple[int, int], format: str) -> None:
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    packed = pack(values, format)
    assert packed.dtype == np.uint8 and packed.nbytes == packed_bytes(format, *shape)
    tolerance = {"f32": 0.0, "f16": 2e-3, "bf16": 1e-2, "q8": 0.03, "q4": 0.5, "q2": 3.0}[format]
    np.testing.assert_allclose(unpack(packed, format, *shape), values, rtol=0, atol=tolerance)
