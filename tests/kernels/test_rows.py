"""The row functions of every instruction set: against numpy in float64, and against each other bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gemsmith import kernels

native: Any = kernels.native() if kernels.available() else None
ISAS: list[str] = native.isa_names() if native else []
pytestmark = pytest.mark.skipif(native is None, reason="the native engine is not built")

LENGTHS = (1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 704, 1536)
EVERY_ISA = pytest.mark.parametrize("isa", ISAS)


def row(n: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng([n, seed]).normal(0, scale, n).astype(np.float32)


def quantized(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The definition of 8-bit activations, in float32: codes, scales and sums of groups of 32, padded to 64."""
    groups = np.zeros(-(-len(x) // 64) * 64, np.float32)
    groups[: len(x)] = x
    groups = groups.reshape(-1, 32)
    largest = np.abs(groups).max(axis=1, keepdims=True)
    factors = np.divide(np.float32(127), largest, out=np.zeros_like(largest), where=largest > 0)
    codes = np.rint(groups * factors).astype(np.int8)
    return codes.ravel(), (largest / np.float32(127)).ravel(), codes.astype(np.int32).sum(axis=1, dtype=np.int32)


@EVERY_ISA
def test_codes_are_those_of_the_definition(isa: str) -> None:
    for n in LENGTHS:
        rows = [row(n), row(n, 1, 1e4), row(n, 2, 1e-20), np.zeros(n, np.float32)]
        rows.append((np.arange(n) - n // 2).astype(np.float32) / 2)  # halves, which go to the even neighbour
        for x in rows:
            for ours, theirs in zip(native.quantize_row(isa, x), quantized(x), strict=True):
                assert ours.dtype == theirs.dtype
                np.testing.assert_array_equal(ours, theirs)


@EVERY_ISA
def test_halves_go_to_the_even_code(isa: str) -> None:
    x = np.array([127, 0.5, 1.5, 2.5, -0.5, -1.5, 126.5], np.float32)
    codes, _, _ = native.quantize_row(isa, x)
    np.testing.assert_array_equal(codes[:7], [127, 0, 2, 2, 0, -2, 126])


@EVERY_ISA
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_group_with_a_bad_value_becomes_nan_and_others_stay(isa: str, bad: float) -> None:
    x = row(224)
    good = native.quantize_row(isa, x)
    for group in range(7):
        broken = x.copy()
        broken[32 * group + 8] = bad
        codes, scales, sums = native.quantize_row(isa, broken)
        own, others = np.arange(32) + 32 * group, np.arange(256) // 32 != group
        assert np.isnan(scales[group]) and not codes[own].any() and sums[group] == 0
        np.testing.assert_array_equal(codes[others], good[0][others])
        for ours, before in ((scales, good[1]), (sums, good[2])):
            np.testing.assert_array_equal(np.delete(ours, group), np.delete(before, group))


@EVERY_ISA
@pytest.mark.parametrize("tiny", [0.0, 1e-39])
def test_a_group_too_small_to_scale_is_zero_and_others_stay(isa: str, tiny: float) -> None:
    x = row(224)
    for group in range(7):
        x[32 * group : 32 * group + 32] = tiny
        codes, scales, sums = native.quantize_row(isa, x)
        expected = quantized(np.where(np.abs(x) < 1e-30, np.float32(0), x))
        for ours, theirs in zip((codes, scales, sums), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@EVERY_ISA
def test_norms(isa: str) -> None:
    for n in LENGTHS:
        x, weight, residual = row(n), row(n, 1), row(n, 2)
        wide = x.astype(np.float64)
        normed = wide / np.sqrt((wide**2).mean() + 1e-6)
        np.testing.assert_allclose(native.rms_norm(isa, x, None, 1e-6), normed, rtol=1e-6)
        np.testing.assert_allclose(native.rms_norm(isa, x, weight, 1e-6), normed * weight, rtol=1e-6)
        np.testing.assert_allclose(
            native.add_rms_norm(isa, residual, x, weight, 1e-6), residual + normed * weight, rtol=1e-6, atol=1e-6
        )


@EVERY_ISA
def test_rope_turns_pairs_half_a_head_apart_and_leaves_the_rest(isa: str) -> None:
    for n, pairs in ((8, 4), (16, 3), (64, 32), (256, 128), (512, 64), (30, 15)):
        head, angles = row(n), row(pairs, 1, 3.0)
        cosines, sines = np.cos(angles), np.sin(angles)
        expected = head.astype(np.float64)
        a, b = head[:pairs].astype(np.float64), head[n // 2 : n // 2 + pairs].astype(np.float64)
        expected[:pairs], expected[n // 2 : n // 2 + pairs] = a * cosines - b * sines, b * cosines + a * sines
        np.testing.assert_allclose(native.rope(isa, head, cosines, sines), expected, rtol=1e-6, atol=1e-6)


@EVERY_ISA
def test_gelu_gate(isa: str) -> None:
    for n in LENGTHS:
        gate, up = row(n, 0, 3.0), row(n, 1)
        x = gate.astype(np.float64)
        gelu = x / (1 + np.exp(-2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
        np.testing.assert_allclose(native.gelu_gate(isa, gate, up), gelu * up, rtol=2e-6, atol=1e-12)


@EVERY_ISA
def test_gelu_gate_at_the_ends(isa: str) -> None:
    gate = np.array([np.inf, 1e30, 100, -100, -1e10, 0, np.nan], np.float32)
    with np.errstate(all="ignore"):
        out = native.gelu_gate(isa, gate, np.ones(7, np.float32))
    np.testing.assert_array_equal(out, np.array([np.inf, 1e30, 100, 0, 0, 0, np.nan], np.float32))


@EVERY_ISA
def test_softcap(isa: str) -> None:
    for n in LENGTHS:
        for scale in (1e-4, 1.0, 30.0, 1e4):
            x = row(n, 0, scale)
            np.testing.assert_allclose(native.softcap(isa, x, 30.0), 30 * np.tanh(x.astype(np.float64) / 30), rtol=1e-6)


@EVERY_ISA
def test_largest_and_sum_of_exponentials(isa: str) -> None:
    for n in (*LENGTHS, 5000, 262_144):
        for scale in (0.1, 5.0, 100.0):
            x = row(n, 0, scale)
            largest, total = native.max_and_sum(isa, x)
            assert largest == x.max()
            np.testing.assert_allclose(total, np.exp(x.astype(np.float64) - x.max()).sum(), rtol=1e-6)


@EVERY_ISA
def test_forbidden_tokens_count_nothing(isa: str) -> None:
    x = np.array([-np.inf, 1.0, -np.inf, 1.0], np.float32)
    assert native.max_and_sum(isa, x) == (1.0, 2.0)


@pytest.mark.parametrize("n", (17, 704, 1536))
def test_every_instruction_set_gives_the_same_bits(n: int) -> None:
    x, y, z = row(n, 0, 2.0), row(n, 1), row(n, 2)
    head, angles = row(512), row(64)
    for name, args in {
        "rms_norm": (x, y, 1e-6),
        "add_rms_norm": (x, y, z, 1e-6),
        "rope": (head, np.cos(angles), np.sin(angles)),
        "gelu_gate": (x, y),
        "softcap": (x, 1.5),
        "max_and_sum": (x,),
    }.items():
        results = [getattr(native, name)(isa, *args) for isa in ISAS]
        for other in results[1:]:
            np.testing.assert_array_equal(results[0], other, err_msg=name)
