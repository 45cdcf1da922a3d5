"""A head in two planes: the same codes as q8, its upper nibbles a q4 matrix; and what is known of the lower ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.quant import join, pack, packed_bytes, planes_of, split, take_apart, unpack, upper_bytes

shapes = st.tuples(st.integers(1, 70), st.integers(1, 150))


@given(shapes, st.integers(0, 2**32 - 1))
def test_planes_hold_what_q8_holds(shape: tuple[int, int], seed: int) -> None:
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    whole, packed = pack(values, "q8"), pack(values, "q8_planes")
    padded = -(-shape[0] // 32) * 32
    assert packed.nbytes == packed_bytes("q8_planes", *shape) == whole.nbytes + 8 * padded
    np.testing.assert_array_equal(unpack(packed, "q8_planes", *shape), unpack(whole, "q8", *shape))
    upper, lower, _ = planes_of(packed, *shape)
    assert upper.nbytes == upper_bytes(*shape) == packed_bytes("q4", *shape)
    np.testing.assert_array_equal(join(upper, lower, shape[1]), whole)


@pytest.mark.parametrize("rows, cols", [(1, 1), (33, 100), (64, 64)])
def test_the_upper_plane_is_a_matrix_of_four_bits(rows: int, cols: int) -> None:
    whole = pack(np.random.default_rng(0).standard_normal((rows, cols)).astype(np.float32), "q8")
    upper, lower, known = split(whole, cols)
    codes, scales = take_apart(whole, "q8", rows, cols)
    above, same_scales = take_apart(upper, "q4", rows, cols)
    np.testing.assert_array_equal(above, codes >> 4)
    np.testing.assert_array_equal(same_scales, scales)
    blocks = lower.reshape(-(-rows // 32), -(-cols // 32), 512)  # as q4's, without the scales
    for row in range(rows):
        for col in range(cols):
            byte = 128 * (col % 32 // 8) + 64 * (row % 32 // 16) + 4 * (row % 16) + col % 4
            nibble = blocks[row // 32, col // 32, byte] >> 4 * (col % 8 // 4) & 15
            assert nibble == codes[row, col] & 15, (row, col)
    below = (codes & 15).astype(np.float64)
    expected = np.stack([np.abs(below.mean(1) - 7.5), below.std(1)], axis=1)
    np.testing.assert_allclose(known[:rows], expected, atol=1e-6)
