"""Attention over the K/V cache: against numpy in float64, and the law that a row's bits depend on what it sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gemsmith import kernels

native: Any = kernels.native() if kernels.available() else None
ISAS: list[str] = native.isa_names() if native else []
pytestmark = pytest.mark.skipif(native is None, reason="the native engine is not built")

EVERY_FORMAT = pytest.mark.parametrize("kind", ["f32", "bf16", "q8"])
# relative rms error of a row of random keys and values against float64 over the same floats
TOLERANCE = {"f32": 4e-6, "bf16": 0.01, "q8": 0.025}
# query heads, K/V heads, head_dim: the four sizes' full and sliding layers, pebble's kind, and odd ones
SHAPES = [
    (8, 1, 512),
    (8, 1, 256),
    (16, 8, 256),
    (16, 2, 512),
    (8, 4, 64),
    (4, 2, 32),
    (6, 2, 30),
    (3, 1, 8),
    (20, 1, 16),
]


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng([*shape, seed]).normal(0, scale, shape).astype(np.float32)


def filled(kind: str, k: np.ndarray, v: np.ndarray, window: int = 0, slack: int = 0, isa: str = "") -> Any:
    cache = native.LayerCache(kind, k.shape[1], k.shape[2], window, slack)
    cache.append(isa or ISAS[0], 0, k, v)
    return cache


def reference(q: np.ndarray, k: np.ndarray, v: np.ndarray, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Row by row and head by head, in float64."""
    out, group = np.zeros(q.shape), q.shape[1] // k.shape[1]
    for t, n in np.ndindex(q.shape[:2]):
        seen = slice(first[t], end[t])
        scores = k[seen, n // group].astype(np.float64) @ q[t, n]
        weights = np.exp(scores - scores.max())
        out[t, n] = weights / weights.sum() @ v[seen, n // group].astype(np.float64)
    return out


def causal(positions: np.ndarray, window: int = 0) -> tuple[np.ndarray, np.ndarray]:
    end = positions + 1
    return np.maximum(0, end - window) if window else np.zeros_like(end), end


def relative_error(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.sqrt(((ours - theirs) ** 2).mean() / (theirs**2).mean()))


@EVERY_FORMAT
@pytest.mark.parametrize("N, K, H", SHAPES)
@pytest.mark.slow
def test_rows_agree_with_float64_and_sets_with_each_other(kind: str, N: int, K: int, H: int) -> None:
    k, v = normal(333, K, H, seed=1), normal(333, K, H, seed=2)
    q = normal(6, N, H, seed=3, scale=2 / H**0.5)
    first, end = np.array([0, 0, 5, 100, 320, 332]), np.array([1, 257, 333, 290, 333, 333])
    results = [filled(kind, k, v, isa=isa).attend(isa, q, first, end) for isa in ISAS]
    assert relative_error(results[0], reference(q, k, v, first, end)) < TOLERANCE[kind]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


@EVERY_FORMAT
@pytest.mark.slow
def test_a_rows_bits_depend_neither_on_chunks_nor_threads_nor_neighbours(kind: str) -> None:
    T, N, K, H, window = 700, 8, 2, 32, 300
    q, k, v = normal(T, N, H, seed=1, scale=0.4), normal(T, K, H, seed=2), normal(T, K, H, seed=3)
    for width in (0, window):
        first, end = causal(np.arange(T), width)
        whole = filled(kind, k, v, width, T).attend(ISAS[0], q, first, end)
        chunked = native.LayerCache(kind, K, H, width, 8)
        at, cuts = 0, [1, 64, 3, 200, 130, 1, 1, 250, 50]
        assert sum(cuts) == T
        for cut in cuts:
            part = slice(at, at + cut)
            chunked.append(ISAS[0], at, k[part], v[part])
            out = chunked.attend(ISAS[0], q[part], first[part], end[part], threads=1 + at % 3)
            np.testing.assert_array_equal(out, whole[part])
            alone = chunked.attend(ISAS[0], q[at : at + 1], first[at : at + 1], end[at : at + 1])
            np.testing.assert_array_equal(alone[0], whole[at])
            at += cut


@EVERY_FORMAT
def test_a_ring_goes_round_and_still_holds_the_window(kind: str) -> None:
    T, K, H, window = 900, 1, 16, 100
    q, k, v = normal(T, 2, H, seed=1), normal(T, K, H, seed=2), normal(T, K, H, seed=3)
    ring, full = native.LayerCache(kind, K, H, window, 30), filled(kind, k, v)
    for at in range(0, T, 30):
        part = slice(at, at + 30)
        first, end = causal(np.arange(at, at + 30), window)
        ring.append(ISAS[0], at, k[part], v[part])
        assert ring.oldest <= max(0, at - window + 1)
        out = ring.attend(ISAS[0], q[part], first, end)
        np.testing.assert_array_equal(out, full.attend(ISAS[0], q[part], first, end))
    assert ring.oldest > 600 and ring.nbytes < full.nbytes


@EVERY_FORMAT
def test_a_ring_grows_for_a_long_block_and_keeps_what_it_sees(kind: str) -> None:
    T, window, long = 1500, 128, 1120
    q, k, v = normal(T, 2, 16, seed=1), normal(T, 1, 16, seed=2), normal(T, 1, 16, seed=3)
    ring, full = native.LayerCache(kind, 1, 16, window, 16), filled(kind, k, v)
    for at in range(0, T - long, 10):
        ring.append(ISAS[0], at, k[at : at + 10], v[at : at + 10])
    before = ring.nbytes
    ring.append(ISAS[0], T - long, k[T - long :], v[T - long :])
    assert ring.nbytes > before
    # two-way: every row of the block sees all of it, whatever the window was before
    first, end = causal(np.arange(T - long, T), window)
    end = np.full_like(end, T)
    out = ring.attend(ISAS[0], q[T - long :], first, end, threads=2)
    np.testing.assert_array_equal(out, full.attend(ISAS[0], q[T - long :], first, end))
    assert (
        relative_error(out[::100], reference(q[T - long :: 100], k, v, first[::100], end[::100])) < 2 * TOLERANCE[kind]
    )


@EVERY_FORMAT
@pytest.mark.parametrize("window", [0, 200])
def test_forks_go_their_own_ways(kind: str, window: int) -> None:
    T, more, K, H = 1100, 40, 1, 32
    q, k, v = normal(T + more, 4, H, seed=1), normal(T + more, K, H, seed=2), normal(T + more, K, H, seed=3)
    other_k, other_v = normal(more, K, H, seed=4), normal(more, K, H, seed=5)
    first, end = causal(np.arange(T, T + more), window)

    def alone(k_more: np.ndarray, v_more: np.ndarray) -> np.ndarray:
        cache = filled(kind, np.concatenate([k[:T], k_more]), np.concatenate([v[:T], v_more]), window, T + more)
        return cache.attend(ISAS[0], q[T:], first, end)

    trunk = filled(kind, k[:T], v[:T], window, 64)
    branch = trunk.fork()
    trunk.append(ISAS[0], T, k[T:], v[T:])
    branch.append(ISAS[0], T, other_k, other_v)
    np.testing.assert_array_equal(trunk.attend(ISAS[0], q[T:], first, end), alone(k[T:], v[T:]))
    np.testing.assert_array_equal(branch.attend(ISAS[0], q[T:], first, end), alone(other_k, other_v))
    del trunk  # what both held stays for the other
    twig = branch.fork()
    twig.trim(T)
    twig.append(ISAS[0], T, k[T:], v[T:])
    np.testing.assert_array_equal(twig.attend(ISAS[0], q[T:], first, end), alone(k[T:], v[T:]))
    np.testing.assert_array_equal(branch.attend(ISAS[0], q[T:], first, end), alone(other_k, other_v))


@EVERY_FORMAT
def test_a_trimmed_cache_goes_on_as_if_nothing_had_been_there(kind: str) -> None:
    k, v, q = normal(300, 1, 16, seed=1), normal(300, 1, 16, seed=2), normal(20, 2, 16, seed=3)
    cache = filled(kind, k[:200], v[:200], 50, 100)
    cache.trim(150)
    assert cache.length == 150
    cache.append(ISAS[0], 150, k[230:250], v[230:250])
    kept = np.r_[0:150, 230:250]
    first, end = causal(np.arange(150, 170), 50)
    expected = filled(kind, k[kept], v[kept]).attend(ISAS[0], q, first, end)
    np.testing.assert_array_equal(cache.attend(ISAS[0], q, first, end), expected)


def test_what_a_ring_has_forgotten_cannot_be_trimmed_to() -> None:
    cache = native.LayerCache("bf16", 1, 16, 64, 0)
    for at in range(0, 1000, 10):
        cache.append(ISAS[0], at, normal(10, 1, 16), normal(10, 1, 16))
    cache.trim(990)
    with pytest.raises(
        ValueError, match=r"cannot trim to 500: a row there sees 64 positions, and the ring holds none before"
    ):
        cache.trim(500)
    assert cache.length == 990
    cache.trim(0)
    assert cache.oldest == 0
    cache.append(ISAS[0], 0, normal(10, 1, 16), normal(10, 1, 16))


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("bf16", 1, 15), "even head_dim"),
        (("bf16", 1, 514), "2 to 512"),
        (("bf16", 0, 16), "at least one head"),
        (("int4", 1, 16), "f32, bf16 or q8"),
    ],
)
def test_a_cache_that_cannot_be_is_refused(arguments: tuple[str, int, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        native.LayerCache(*arguments)


def test_positions_are_reserved_without_holes() -> None:
    cache = native.LayerCache("q8", 1, 16)
    cache.reserve(0, 10)
    for begin, end in ((11, 12), (-1, 3), (5, 4)):
        with pytest.raises(ValueError, match="cannot reserve positions"):
            cache.reserve(begin, end)


@EVERY_FORMAT
def test_scores_far_apart_and_large_leave_one_position(kind: str) -> None:
    k, v = normal(400, 1, 32, seed=1, scale=0.01), normal(400, 1, 32, seed=2)
    k[123] = 4.0
    q = np.full((1, 1, 32), 100.0, np.float32)
    out = filled(kind, k, v).attend(ISAS[0], q, np.array([0]), np.array([400]))
    np.testing.assert_allclose(out[0, 0], v[123, 0], atol={"f32": 0, "bf16": 0.01, "q8": 0.02}[kind])


@EVERY_FORMAT
def test_a_bad_value_is_seen_and_ends_nothing(kind: str) -> None:
    k, v, q = normal(100, 1, 16, seed=1), normal(100, 1, 16, seed=2), normal(1, 1, 16, seed=3)
    k[50] = np.nan
    cache = filled(kind, k, v)
    assert np.isnan(cache.attend(ISAS[0], q, np.array([0]), np.array([100]))).all()
    assert np.isfinite(cache.attend(ISAS[0], q, np.array([64]), np.array([100]))).all()


def test_decoding_and_prompts_have_tasks_for_many_threads() -> None:
    for N, K, H, window in ((8, 1, 512, 0), (16, 2, 512, 0), (32, 4, 512, 0), (16, 8, 256, 1024)):
        cache = native.LayerCache("bf16", K, H, window, 8192)
        cache.reserve(0, 8192)
        first, end = causal(np.array([8191]), window)
        tasks, merges, _ = cache.tasks(np.zeros((1, N, H), np.float32), first, end)
        assert tasks >= 16 and merges == N
    first, end = causal(np.arange(512))
    assert cache.tasks(np.zeros((512, 16, 256), np.float32), first, end)[:2] == (256, 0)
