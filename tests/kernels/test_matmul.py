"""The matmul of every instruction set: against numpy in float64, and against each other bit for bit."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest

from gemsmith import kernels
from gemsmith.quant import GRIDS, packed_bytes, unpack

native: Any = kernels.native() if kernels.available() else None
ISAS: list[str] = native.isa_names() if native else []
pytestmark = pytest.mark.skipif(native is None, reason="the native engine is not built")

LOW_BIT = ("q8", "q4", "q2")
EVERY_FORMAT = pytest.mark.parametrize("format", ["f32", "f16", "bf16", *LOW_BIT])
EVERY_ISA = pytest.mark.parametrize("isa", ISAS)


class Case(NamedTuple):
    """A packed matrix of any codes at all, and activations of any codes from -127 to 127."""

    format: str
    rows: int
    cols: int
    packed: np.ndarray
    codes: np.ndarray
    scales: np.ndarray
    sums: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """The activations as floats [T, S]."""
        return self.codes * np.repeat(self.scales, 32, axis=1)

    @property
    def weights(self) -> np.ndarray:
        return unpack(self.packed, self.format, self.rows, self.cols)

    @property
    def num_blocks(self) -> int:
        return -(-self.rows // 32)

    def some(self, tokens: slice) -> Case:
        """The same with some of the tokens."""
        return self._replace(codes=self.codes[tokens], scales=self.scales[tokens], sums=self.sums[tokens])


def case(format: str, rows: int, cols: int, tokens: int, seed: int = 0, scale: float = 0.05) -> Case:
    random = np.random.default_rng([rows, cols, tokens, seed])
    packed = random.integers(0, 256, packed_bytes(format, rows, cols), np.uint8)
    if format in LOW_BIT:
        blocks = packed.reshape(-1, GRIDS[format].block_bytes)
        scales = random.uniform(-scale, scale, (len(blocks), 32)).astype("<f2")
        blocks[:, -64:] = scales.view(np.uint8)
    else:
        weights = random.normal(0, 1, packed.size // (4 if format == "f32" else 2)).astype(np.float32)
        if format == "bf16":
            packed = (weights.view("<u4") >> 16).astype("<u2").view(np.uint8)
        else:
            packed = weights.astype("<f4" if format == "f32" else "<f2").view(np.uint8)
    stride = -(-cols // 64) * 64
    codes = np.zeros((tokens, stride), np.int8)
    codes[:, :cols] = random.integers(-127, 128, (tokens, cols))
    codes[:, : cols // 2] = np.where(random.random((tokens, 1)) < 0.5, 127, -127)  # the largest sums there can be
    groups = codes.reshape(tokens, -1, 32)
    return Case(
        format,
        rows,
        cols,
        packed,
        codes,
        random.uniform(0, 0.1, groups.shape[:2]).astype(np.float32),
        groups.sum(axis=2, dtype=np.int32),
    )


def product(isa: str, c: Case, begin: int = 0, end: int | None = None, out: np.ndarray | None = None) -> np.ndarray:
    """Float32 [T, padded rows]."""
    end = c.num_blocks if end is None else end
    if out is None:
        out = np.full((len(c.codes), 32 * c.num_blocks), np.nan, np.float32)
    head = (isa, c.format, c.packed, c.rows, c.cols)
    if c.format in LOW_BIT:
        native.matmul_quantized(*head, c.codes, c.scales, c.sums, begin, end, out)
    else:
        native.matmul_floats(*head, np.ascontiguousarray(c.values, np.float32), begin, end, out)
    return out


def assert_near_exact(found: np.ndarray, c: Case) -> None:
    """Within float32's rounding of the chain: a few units of the sum of sizes."""
    x, w = c.values[:, : c.cols].astype(np.float64), c.weights.astype(np.float64)
    if c.format not in LOW_BIT:
        x = c.values.astype(np.float32)[:, : c.cols].astype(np.float64)
    error = np.abs(found[:, : c.rows] - x @ w.T)
    assert (error <= 1e-6 * (np.abs(x) @ np.abs(w).T) + 1e-30).all(), float(error.max())


@EVERY_ISA
@EVERY_FORMAT
def test_a_ragged_matrix(isa: str, format: str) -> None:
    c = case(format, 45, 97, 19)
    found = product(isa, c)
    assert_near_exact(found, c)
    np.testing.assert_array_equal(found, product("portable", c))


@pytest.mark.slow
@EVERY_FORMAT
def test_random_shapes(format: str) -> None:
    random = np.random.default_rng(5)
    for seed in range(40):
        rows, cols, tokens = (int(n) for n in random.integers(1, (100, 400, 41)))
        c = case(format, rows, cols, tokens, seed=seed)
        wanted = product("portable", c)
        assert_near_exact(wanted, c)
        for isa in ISAS:
            np.testing.assert_array_equal(product(isa, c), wanted)


@pytest.mark.slow
@EVERY_ISA
@EVERY_FORMAT
@pytest.mark.parametrize("cols", [1536, 1568, 3201])
def test_many_columns_go_in_passes(isa: str, format: str, cols: int) -> None:
    c = case(format, 64, cols, 33)
    found = product(isa, c)
    assert_near_exact(found, c)
    alone = np.concatenate([product(isa, c.some(slice(t, t + 1))) for t in range(33)])
    np.testing.assert_array_equal(found, alone)


@pytest.mark.slow
@EVERY_ISA
@EVERY_FORMAT
def test_neither_neighbours_nor_threads_change_a_bit(isa: str, format: str) -> None:
    c = case(format, 300, 200, 40)
    whole = product(isa, c)
    for count in (*range(1, 18), 31, 32, 33):
        np.testing.assert_array_equal(product(isa, c.some(slice(3, 3 + count))), whole[3 : 3 + count])
    split = np.full_like(whole, np.nan)
    for begin, end in ((7, 10), (0, 1), (1, 1), (1, 4), (4, 7)):
        product(isa, c, begin, end, split)
    np.testing.assert_array_equal(split, whole)


@EVERY_ISA
@pytest.mark.parametrize("format", ["f32", "q4"])
def test_only_the_blocks_asked_for_are_written(isa: str, format: str) -> None:
    c = case(format, 96, 64, 18)
    out = np.full((18, 100), 7, np.float32)
    product(isa, c, 1, 2, out)
    assert (out[:, :32] == 7).all() and (out[:, 64:] == 7).all() and (out[:, 32:64] != 7).all()


@pytest.mark.slow
@EVERY_ISA
@EVERY_FORMAT
def test_any_alignment(isa: str, format: str) -> None:
    c = case(format, 40, 70, 17)
    wanted = product(isa, c)
    for offset in (1, 2, 3, 31):
        packed = np.concatenate([np.zeros(offset, np.uint8), c.packed])[offset:]
        np.testing.assert_array_equal(product(isa, c._replace(packed=packed)), wanted)
        out = np.zeros(offset + wanted.size, np.float32)[offset:].reshape(wanted.shape)
        np.testing.assert_array_equal(product(isa, c, out=out), wanted)


@EVERY_ISA
@EVERY_FORMAT
def test_zeros_and_huge_scales(isa: str, format: str) -> None:
    c = case(format, 33, 65, 17)
    nothing = c._replace(codes=0 * c.codes, sums=0 * c.sums, scales=0 * c.scales)
    assert (product(isa, nothing) == 0).all()
    c = c._replace(scales=c.scales * np.float32(1e30))
    assert_near_exact(product(isa, c), c)
    overflowing = product(isa, c._replace(scales=c.scales * np.float32(1e7)))
    np.testing.assert_array_equal(overflowing, product("portable", c._replace(scales=c.scales * np.float32(1e7))))


def rounded(exact: Fraction) -> float:
    """The nearest float32, halves to even."""
    near = np.float32(float(exact))
    around = [np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))]
    return float(min(around, key=lambda x: (abs(Fraction(float(x)) - exact), int(x.view(np.uint32)) & 1)))


@EVERY_ISA
def test_multiply_and_add_round_once(isa: str) -> None:
    """Sums that a rounding in between, to float or to double, would spoil: they end close to halfway."""
    tiny, ulp = 2.0**-24, 2.0**-23
    pairs = [(1.0, tiny, 1 + ulp), (1 + ulp, tiny * (1 + ulp), 1 + ulp), (1.0, -tiny / 2, 1 - ulp)]
    pairs += [(1.0, tiny * (1 + 2 * ulp), 1 - ulp), (2.0**-126, 2.0**-75, 2.0**-75 * (1 + ulp))]
    random = np.random.default_rng(0)
    ordinary = random.normal(0, 1, (50, 3)).astype(np.float32).tolist()
    for start, weight, value in [*pairs, *ordinary]:
        x = np.array([[1, value]], np.float32)
        packed = np.zeros((2, 32), "<f4")
        packed[0], packed[1] = start, weight
        out = np.empty((1, 32), np.float32)
        native.matmul_floats(isa, "f32", packed.reshape(-1).view(np.uint8), 32, 2, x, 0, 1, out)
        wanted = rounded(Fraction(start) + Fraction(weight) * Fraction(float(np.float32(value))))
        assert (out == np.float32(wanted)).all(), (start, weight, value, float(out[0, 0]), wanted)


@EVERY_ISA
def test_every_float16_and_bfloat16(isa: str) -> None:
    """All 65,536 patterns as weights; a NaN only has to stay one."""
    patterns = np.arange(65536, dtype="<u2")
    for format, wanted in (("f16", patterns.view("<f2").astype(np.float32)), ("bf16", unpacked_bf16(patterns))):
        out = np.empty((1, 65536), np.float32)
        one = np.ones((1, 1), np.float32)
        native.matmul_floats(isa, format, patterns.view(np.uint8), 65536, 1, one, 0, 2048, out)
        np.testing.assert_array_equal(out[0], wanted)


def unpacked_bf16(patterns: np.ndarray) -> np.ndarray:
    wide: np.ndarray = (patterns.astype(np.uint32) << 16).view(np.float32)
    return wide


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "q3"}, "q8, q4 or q2"),
        ({"rows": 64}, "bytes"),
        ({"cols": 0}, "rows and columns"),
        ({"end": 2}, "row blocks outside"),
        ({"isa": "sse9"}, "sse9"),
        ({"scales": np.zeros((3, 9), np.float32)}, "one value for 32 codes"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], said: str) -> None:
    c = case("q4", 20, 70, 3)
    arguments: dict[str, Any] = {
        "isa": "portable",
        **{name: getattr(c, name) for name in ("format", "packed", "rows", "cols", "codes", "scales", "sums")},
        "begin": 0,
        "end": 1,
        "out": np.empty((3, 32), np.float32),
    }
    with pytest.raises(ValueError, match=said):
        native.matmul_quantized(**(arguments | change))
