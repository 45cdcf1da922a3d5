"""Speeds: what is fed to the runtime, what is timed, and what the shares are shares of. Only steps move the clock."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from gemsmith.config import preset
from gemsmith.config.cost import bytes_per_generated_token, least_flops_per_prompt
from gemsmith.kernels.limits import Limits
from gemsmith.runtime import speed
from gemsmith.runtime.cpu.kv import position_bytes
from gemsmith.runtime.places import Placeholders
from gemsmith.runtime.protocol import Run
from gemsmith.runtime.speed import Work, measure

CONFIG = preset("tiny-random-e2b")
WEIGHTS = {"model.language_model.embed_tokens.weight": 1000}


class Clockwork:
    """A runtime that takes 10 ms for a step and 1 ms for a token, and notes what it is given."""

    name = "clockwork"
    weight_bytes = WEIGHTS

    def __init__(self) -> None:
        self.now, self.lengths, self.steps = 0.0, {}, []

    def new(self) -> int:
        self.lengths[len(self.lengths)] = 0
        return len(self.lengths) - 1

    def fork(self, sequence: int) -> int:
        handle = len(self.lengths)
        self.lengths[handle] = self.lengths[sequence]
        return handle

    def free(self, sequence: int) -> None:
        assert self.lengths[sequence] is not None
        self.lengths[sequence] = None

    def step(self, batch: Sequence[Run]) -> SimpleNamespace:
        (run,) = batch
        self.steps.append((self.lengths[run.sequence], list(run.ids), list(run.wanted)))
        self.lengths[run.sequence] += len(run.ids)
        self.now += 0.01 + 0.001 * len(run.ids)
        return SimpleNamespace(token_ids=np.zeros(len(run.wanted), np.int64))


@pytest.fixture
def clockwork(monkeypatch: pytest.MonkeyPatch) -> Clockwork:
    runtime = Clockwork()
    monkeypatch.setattr(speed.time, "perf_counter", lambda: runtime.now)
    return runtime


def test_both_are_timed_behind_the_depth(clockwork: Clockwork) -> None:
    found = measure(clockwork, CONFIG, Work(90, 5, 600), repeats=2, warm_up=1)
    assert found.prompt_rates == pytest.approx([900, 900])
    assert found.generation_rates == pytest.approx([5 / 0.055] * 2)
    assert found.time_to_first_token_s == pytest.approx(0.1)
    sizes = [(before, len(ids), wanted) for before, ids, wanted in clockwork.steps]
    steps = [(600 + i, 1, [0]) for i in range(5)]
    once = [(600, 90, [89]), *steps]
    warm_up = [(600, 90, [89]), (600, 5, [4]), steps[0]]
    assert sizes == [(0, 512, []), (512, 88, []), *warm_up, *once, *once]
    assert set(clockwork.lengths.values()) == {None}, "sequences that were not freed"


def test_what_is_timed_was_read_before(clockwork: Clockwork) -> None:
    """So that rows of a table on the disk are in memory, and the disk is not what is timed."""
    measure(clockwork, CONFIG, Work(90, 5, 0), repeats=2, warm_up=3)
    ids = [ids for _, ids, _ in clockwork.steps]
    prompt, fed = ids[:2]
    assert len(ids) == 2 + 3 + 2 * (1 + 5)
    for start in (5, 11):
        assert ids[start : start + 6] == [prompt, *([token] for token in fed)]


def test_ids_are_plain_tokens_and_the_same_every_time(clockwork: Clockwork) -> None:
    measure(clockwork, CONFIG, Work(4000, 0, 0), repeats=1, warm_up=0)
    ids = clockwork.steps[-1][1]
    assert min(ids) >= 256 and max(ids) < CONFIG.text.vocab_size and len(set(ids)) > 1000
    assert not Placeholders.of(CONFIG).are_soft(ids).any()
    again = Clockwork()
    measure(again, CONFIG, Work(4000, 0, 0), repeats=1, warm_up=0)
    assert again.steps == clockwork.steps


def test_shares_are_of_the_better_limits_around_each_repeat(clockwork: Clockwork) -> None:
    reads = iter([1e5, 4e5, 2e5])
    limits = lambda: Limits(next(reads), 1e9, "none")  # noqa: E731
    found = measure(clockwork, CONFIG, Work(90, 10, 20), repeats=2, warm_up=0, limits=limits)
    assert [t.limits.read_bytes_per_s for t in found.timings] == [4e5, 4e5]
    needed = bytes_per_generated_token(CONFIG, WEIGHTS, 25)
    assert found.bandwidth_share == pytest.approx(needed * 10 / 0.11 / 4e5)
    assert found.arithmetic_share == pytest.approx(least_flops_per_prompt(CONFIG, 90, start=20) / 0.1 / 1e9)


def test_what_is_not_asked_for_is_not_done(clockwork: Clockwork) -> None:
    found = measure(clockwork, CONFIG, Work(0, 2, 0), repeats=1, warm_up=0)
    assert (found.prompt_rates, found.time_to_first_token_s, found.arithmetic_share) == ([], None, None)
    assert found.bandwidth_share is None, "no limits were measured"
    assert [len(ids) for _, ids, _ in clockwork.steps] == [2, 1, 1]


def test_a_step_that_raises_leaves_no_sequence_behind(clockwork: Clockwork) -> None:
    def step(batch: Sequence[Run]) -> None:
        raise KeyboardInterrupt

    clockwork.step = step
    for depth in (0, 5):
        with pytest.raises(KeyboardInterrupt):
            measure(clockwork, CONFIG, Work(4, 2, depth), repeats=1, warm_up=0)
    assert set(clockwork.lengths.values()) == {None}


def test_keys_and_values_count_by_what_they_are_kept_in() -> None:
    """8,192 tokens deep, 8 bits are half of 16, and a scale a head."""
    text = preset("e2b").text
    read = {kv: bytes_per_generated_token(text, {}, 8192, partial(position_bytes, kv=kv)) for kv in ("bf16", "q8")}
    assert read["bf16"] == bytes_per_generated_token(text, {}, 8192)
    assert 0.5 < read["q8"] / read["bf16"] < 0.51
