"""Laws of the runtime protocol, on every kind of model: chunks, forks, trims and wanted rows change no result."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.config import preset
from gemsmith.config.cost import kv_bytes
from gemsmith.runtime.protocol import Run, Runtime
from gemsmith.runtime.select import open_runtime
from gemsmith.runtime.torch import engine

SIZES = ("e2b", "e4b", "12b", "26b-a4b", "31b")
WINDOW = 8
IDS = np.random.default_rng(2).integers(0, 4096, 40).tolist()  # five windows
CLOSE: dict[str, Any] = {"rtol": 0, "atol": 2e-4}  # float32 sums in another order give 6e-5; one key too many, 1e-2


@cache
def runtime(size: str = "e2b") -> Any:
    return open_runtime(preset(f"tiny-random-{size}").text, None, device="cpu")


def logits(engine: Runtime, ids: list[int], sizes: list[int] | None = None) -> np.ndarray:
    """Logits of all rows, the tokens fed in chunks of these sizes."""
    sequence, parts, start = engine.new(), [], 0
    for size in sizes or [len(ids)]:
        parts.append(engine.step([Run(sequence, ids[start : start + size], range(size))]).logits)
        start += size
    assert engine.length(sequence) == start == len(ids)
    engine.free(sequence)
    return np.concatenate(parts)


@cache
def one_shot(size: str = "e2b") -> np.ndarray:
    return logits(runtime(size), IDS)


def test_the_window_is_passed_and_the_logits_spread() -> None:
    assert preset("tiny-random-e2b").text.sliding_window == WINDOW
    for size in SIZES:
        assert one_shot(size).dtype == np.float32 and one_shot(size).std() > 0.5


@pytest.mark.slow
@given(size=st.sampled_from(SIZES), cuts=st.sets(st.integers(1, 39), max_size=6))
def test_chunks_are_one_shot(size: str, cuts: set[int]) -> None:
    edges = [0, *sorted(cuts), len(IDS)]
    sizes = [end - start for start, end in pairwise(edges)]
    np.testing.assert_allclose(logits(runtime(size), IDS, sizes), one_shot(size), **CLOSE)


@pytest.mark.parametrize("size", SIZES)
def test_token_by_token_is_one_shot(size: str) -> None:
    np.testing.assert_allclose(logits(runtime(size), IDS, [1] * 40), one_shot(size), **CLOSE)


def test_the_runtimes_own_chunks_are_one_shot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CHUNK", 7)
    np.testing.assert_allclose(logits(runtime(), IDS), one_shot(), **CLOSE)
    wanted = [39, 0, 7, 6, 7]  # from several chunks, in an order of their own, one twice
    rows = runtime().step([Run(runtime().new(), IDS, wanted)])
    np.testing.assert_allclose(rows.logits, one_shot()[wanted], **CLOSE)


@pytest.mark.slow
@given(size=st.sampled_from(SIZES), wanted=st.lists(st.integers(0, 39), max_size=5))
def test_wanted_rows_are_rows_of_all(size: str, wanted: list[int]) -> None:
    sequence = runtime(size).new()
    rows = runtime(size).step([Run(sequence, IDS, wanted)])
    assert rows.logits.shape == (len(wanted), 4096)
    np.testing.assert_allclose(rows.logits, one_shot(size)[wanted], **CLOSE)
    after = runtime(size).step([Run(sequence, [5], [0])]).logits
    np.testing.assert_allclose(after, logits(runtime(size), [*IDS, 5])[-1:], **CLOSE)
    runtime(size).free(sequence)


@pytest.mark.parametrize("run", [Run(0, [], []), Run(0, [1, 2], [2]), Run(0, [1, 2], [-1])])
def test_a_run_that_makes_no_sense_is_our_own_bug(run: Run) -> None:
    with pytest.raises(AssertionError):
        runtime().step([run])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("split", [3, 8, 20])
def test_forks_are_independent(size: str, split: int) -> None:
    one = runtime(size)
    parent = one.new()
    one.step([Run(parent, IDS[:split], [])])
    child = one.fork(parent)
    assert one.length(child) == split
    one.step([Run(parent, IDS[::-1], [])])  # whatever one does ...
    rows = one.step([Run(child, IDS[split:], range(40 - split))]).logits
    np.testing.assert_allclose(rows, one_shot(size)[split:], **CLOSE)  # ... the other does not see
    rows = one.step([Run(parent, [5], [0])]).logits
    np.testing.assert_allclose(rows, logits(one, [*IDS[:split], *IDS[::-1], 5])[-1:], **CLOSE)
    one.free(parent)
    assert one.length(child) == 40
    one.free(child)


@pytest.mark.parametrize("read, trimmed", [(8, 0), (8, 1), (8, 7), (8, 8), (40, 0), (40, 40)])
def test_a_trimmed_sequence_goes_on_as_if_it_had_never_seen_more(read: int, trimmed: int) -> None:
    one = runtime()
    sequence = one.new()
    one.step([Run(sequence, IDS[::-1][:read] if trimmed < read else IDS[:read], [])])
    one.trim(sequence, trimmed)
    assert one.length(sequence) == trimmed
    rest = IDS[::-1][:trimmed] if trimmed < read else IDS[:trimmed]
    rows = one.step([Run(sequence, [9, 9], [1])]).logits
    np.testing.assert_allclose(rows, logits(one, [*rest, 9, 9])[-1:], **CLOSE)
    one.free(sequence)


@pytest.mark.parametrize("read, trimmed", [(9, 8), (40, 20), (4, 5)])
def test_what_is_gone_cannot_be_trimmed_to(read: int, trimmed: int) -> None:
    sequence = runtime().new()
    runtime().step([Run(sequence, IDS[:read], [])])
    with pytest.raises(ValueError, match=f"cannot trim to {trimmed}"):
        runtime().trim(sequence, trimmed)
    assert runtime().length(sequence) == read


def test_a_freed_sequence_is_gone_and_handles_are_not_used_again() -> None:
    one = runtime()
    first = one.new()
    one.free(first)
    assert one.new() != first
    with pytest.raises(KeyError):
        one.length(first)


def test_sequences_of_one_batch_do_not_see_each_other() -> None:
    one = runtime()
    short, long = one.new(), one.new()
    rows = one.step([Run(long, IDS, [39, 2]), Run(short, IDS[:3], [2])]).logits
    np.testing.assert_allclose(rows, one_shot()[[39, 2, 2]], **CLOSE)


def test_bytes_held_are_what_the_config_says() -> None:
    one, text = runtime(), preset("tiny-random-e2b").text
    sequence = one.new()
    assert one.nbytes(sequence) == 0
    one.step([Run(sequence, IDS, [])])
    assert one.nbytes(sequence) == kv_bytes(text, 40, bytes_per_value=4, growth=256)


def test_rows_agree_with_each_other() -> None:
    rows = runtime().step([Run(runtime().new(), IDS, [3, 39])])
    z = rows.logits.astype(np.float64)
    ids, values, log_sum = rows.top(5)
    assert rows.hidden.shape == (2, 32) and rows.hidden.dtype == np.float32
    np.testing.assert_array_equal(rows.token_ids, z.argmax(-1))
    np.testing.assert_array_equal(ids, np.argsort(-z, axis=-1)[:, :5])
    np.testing.assert_array_equal(values, np.take_along_axis(rows.logits, ids, -1))
    np.testing.assert_allclose(log_sum, np.log(np.exp(z).sum(-1)), atol=1e-5)
