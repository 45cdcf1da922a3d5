"""The likeliest ids of a head in two planes: those of the whole logits, whatever the head, to the bit."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import gemsmith
from gemsmith import kernels
from gemsmith.config.tensors import EMBEDDING
from gemsmith.formats import open_checkpoint
from gemsmith.formats.pack import Pack, pack_in_memory
from gemsmith.hub.names import DEFAULT_TOKENIZER
from gemsmith.quant import pack as packed
from gemsmith.runtime.cpu import CpuRuntime, lower
from gemsmith.runtime.protocol import Run

if not kernels.available():
    pytest.skip("the native engine is not built", allow_module_level=True)

pytestmark = pytest.mark.slow
rng = np.random.default_rng(0)


@cache
def pebble() -> Pack:
    return pack_in_memory(open_checkpoint(DEFAULT_TOKENIZER.parent), "q8")


def opened(head: np.ndarray | None = None, threads: int = 2) -> CpuRuntime:
    """pebble in 8 bits, or with a head of our own."""
    pack = pebble()
    tensors = dict(pack.tensors)
    if head is not None:
        tensors[EMBEDDING] = replace(tensors[EMBEDDING], buffer=packed(head, "q8_planes").data)
    return CpuRuntime(pack.config, lower(pack.config.text, tensors), threads=threads)


def size() -> tuple[int, int]:
    text = pebble().config.text
    return text.vocab_size, text.hidden_size


def check(runtime: CpuRuntime, hidden: np.ndarray, *ks: int) -> int:
    """Against the sorted logits; how many rows the upper plane left open."""
    engine, before = runtime._engine, runtime._engine.whole_heads_read
    hidden = np.ascontiguousarray(hidden, np.float32)
    logits = engine.logits(hidden)
    order = np.argsort(-logits, axis=1, kind="stable")
    for k in ks:
        ids, values = engine.likeliest(hidden, k)
        np.testing.assert_array_equal(ids, order[:, :k])
        np.testing.assert_array_equal(values, np.take_along_axis(logits, order[:, :k], 1))
    opened: int = engine.whole_heads_read - before
    return opened


def test_pebble_in_8_bits_writes_with_a_head_in_two_planes() -> None:
    assert pebble().tensors[EMBEDDING].format == "q8_planes"
    runtime = opened()
    ids = gemsmith.load("pebble").tokenizer.encode("Sort these numbers: 31, 7, 95, 52, 18. What is 17 + 25?")
    rows = runtime.step([Run(runtime.new(), ids, range(len(ids)))])
    assert check(runtime, rows.hidden, 1, 2) == 0, "what it was trained to write is decided by the upper plane"
    assert check(runtime, rows.hidden, 64) <= len(ids) // 10
    np.testing.assert_array_equal(rows.token_ids, rows.logits.argmax(-1))
    np.testing.assert_array_equal(rows.top(9)[0], rows.likeliest(9)[0])


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("num_rows", [1, 8, 19])
def test_random_heads(threads: int, num_rows: int) -> None:
    runtime = opened(rng.standard_normal(size()), threads)
    assert check(runtime, 0.1 * rng.standard_normal((num_rows, size()[1])), 1, 40) == 0
    check(runtime, 0.1 * rng.standard_normal((2, size()[1])), size()[0])  # all there are


def test_rows_of_unequal_size_and_few_large_activations() -> None:
    V, D = size()
    runtime = opened(rng.standard_normal((V, D)) * 10 ** rng.uniform(-3, 0, (V, 1)))
    hidden = rng.standard_normal((6, D)) * 1e-3
    hidden[:, 7] = 1.0
    hidden[3:, 40] = -5.0
    check(runtime, hidden, 1, 64)


def test_of_equals_the_lower_id() -> None:
    V, D = size()
    runtime = opened(np.repeat(rng.standard_normal((-(-V // 5), D)), 5, axis=0)[:V])
    check(runtime, 0.1 * rng.standard_normal((9, D)), 1, 3, 64)
    check(runtime, np.zeros((1, D)), 1, 64)


def test_heads_whose_last_digits_are_no_noise() -> None:
    """Rows that an upper plane knows badly: the same digit in each place, or just the sign of the activation's."""
    V, D = size()
    hidden = 0.1 * rng.standard_normal((4, D))
    levels = np.full((V, D), 127.0)
    levels[:, 1:] = 16 * rng.integers(-7, 7, (V, 1)) + rng.integers(0, 16, (V, 1))  # a row is one number
    assert check(opened(levels / 127), np.abs(hidden), 1, 5) > 0
    following = 16 * rng.integers(-7, 7, (V, D)) + 8 + np.where(rng.random((V, 1)) < 0.5, 7, -8) * np.sign(hidden[0])
    following[:, ::32] = 127
    assert check(opened(following / 127), hidden[:1], 1, 5) > 0


def test_logits_at_their_cap_are_told_apart_by_their_id() -> None:
    V, D = size()
    runtime = opened(rng.standard_normal((V, D)))
    assert check(runtime, 1e3 * rng.standard_normal((2, D)), 1, 64) == 4


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_told(bad: float) -> None:
    runtime, D = opened(), size()[1]
    hidden = 0.1 * rng.standard_normal((3, D)).astype(np.float32)
    hidden[1, 5] = bad
    _, values = runtime._engine.likeliest(hidden, 4)
    assert np.isnan(values[1]).all() and np.isfinite(values[[0, 2]]).all()


def test_a_scale_that_is_no_number_is_told() -> None:
    V, D = size()
    head = packed(rng.standard_normal((V, D)), "q8_planes").copy()
    head[512 + 2 * 9 : 512 + 2 * 10] = np.array([np.nan], "<f2").view(np.uint8)  # of row 9
    pack = pebble()
    tensors = {**pack.tensors, EMBEDDING: replace(pack.tensors[EMBEDDING], buffer=head.data)}
    runtime = CpuRuntime(pack.config, lower(pack.config.text, tensors), threads=2)
    _, values = runtime._engine.likeliest(0.1 * rng.standard_normal((1, D)).astype(np.float32), 4)
    assert np.isnan(values).all()
