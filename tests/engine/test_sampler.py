"""The sampler against numbers worked out by hand."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.engine.sampler import Sampler, likeliest, log_softmax
from gemsmith.engine.sampling import Sampling

PLAIN = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
P = np.array([0.1, 0.5, 0.15, 0.25])  # of tokens 0 to 3


def sampler(prompt: tuple[int, ...] = (), suppressed: tuple[int, ...] = (), V: int = 4, **options: Any) -> Sampler:
    return Sampler(Sampling.of(PLAIN | options), prompt, V, suppressed)


def kept(**options: Any) -> dict[int, float]:
    ids, p = sampler(**options).candidates(np.log(P))
    assert p.sum() == pytest.approx(1.0)
    return {int(id): round(float(share), 6) for id, share in zip(ids, p, strict=True)}


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, {1: 0.5, 3: 0.25, 2: 0.15, 0: 0.1}),
        ({"top_k": 1}, {1: 1.0}),
        ({"top_k": 2}, {1: 0.666667, 3: 0.333333}),
        ({"top_k": 99}, {1: 0.5, 3: 0.25, 2: 0.15, 0: 0.1}),
        ({"top_p": 0.0}, {1: 1.0}),
        ({"top_p": 0.5}, {1: 1.0}),  # 0.5 reaches 0.5
        ({"top_p": 0.51}, {1: 0.666667, 3: 0.333333}),
        ({"top_p": 0.95}, {1: 0.5, 3: 0.25, 2: 0.15, 0: 0.1}),
        ({"min_p": 0.4}, {1: 0.666667, 3: 0.333333}),  # 0.4 x 0.5 = 0.2
        ({"min_p": 1.0}, {1: 1.0}),
        ({"top_k": 3, "top_p": 0.8}, {1: 0.666667, 3: 0.333333}),  # of 5/9, 5/18 and 1/6, two make 5/6
        ({"temperature": 0.5}, {1: 0.724638, 3: 0.181159, 2: 0.065217, 0: 0.028986}),  # p² / 0.345
        ({"temperature": 1e-9}, {1: 1.0}),
        ({"temperature": 1000.0}, {1: 0.250238, 3: 0.250065, 2: 0.249937, 0: 0.249836}),
    ],
)
def test_filters(options: dict[str, Any], expected: dict[int, float]) -> None:
    found = kept(**options)
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, abs=1e-4)


def test_temperature_zero_takes_the_likeliest_and_of_equals_the_first() -> None:
    assert [sampler(temperature=0).draw(np.array([1.0, 3.0, 3.0, 2.0])) for _ in range(5)] == [1] * 5


def test_equal_tokens_beyond_top_k_go_by_id() -> None:
    ids, _ = sampler(top_k=2).candidates(np.array([1.0, 2.0, 1.0, 1.0]))
    assert list(ids) == [1, 0]


def test_repetition_penalty_counts_prompt_and_reply() -> None:
    drawn = sampler(prompt=(0, 2, 2), repetition_penalty=2.0, temperature=0)
    logits = np.array([3.0, 2.0, -1.0, -1.0])
    assert list(drawn.adjusted(logits)) == [1.5, 2.0, -2.0, -1.0]
    assert drawn.draw(logits) == 1
    assert list(drawn.adjusted(logits)) == [1.5, 1.0, -2.0, -1.0]


def test_presence_and_frequency_penalties_count_the_reply_alone() -> None:
    drawn = sampler(prompt=(0, 0), presence_penalty=0.5, frequency_penalty=0.25, temperature=0)
    logits = np.array([1.0, 2.0, 0.0, 0.0])
    assert [drawn.draw(logits) for _ in range(2)] == [1, 1]
    assert list(drawn.adjusted(logits)) == [1.0, 2.0 - 0.5 - 2 * 0.25, 0.0, 0.0]


def test_logit_bias_and_suppressed_tokens() -> None:
    logits = np.array([1.0, 2.0, 3.0, 4.0])
    biased = sampler(logit_bias={0: 2.5, 2: -np.inf, 3: 100}, suppressed=(3, 4, 999))  # what is suppressed stays so
    assert list(biased.adjusted(logits)) == [3.5, 2.0, -np.inf, -np.inf]
    ids, p = biased.candidates(biased.adjusted(logits))
    assert list(ids) == [0, 1] and np.all(p > 0)
    assert list(logits) == [1.0, 2.0, 3.0, 4.0]


def test_a_strong_bias_forces_a_token() -> None:
    forced = sampler(logit_bias={2: 100})
    assert [forced.draw(np.log(P)) for _ in range(5)] == [2] * 5


@pytest.mark.parametrize("temperature", [1e-300, 1e-9, 1.0])
def test_no_extreme_makes_a_warning_or_a_banned_token(temperature: float) -> None:
    extreme = sampler(temperature=temperature, logit_bias={0: -np.inf, 1: 9e29, 2: -9e29})
    assert extreme.draw(np.array([9.0, -9.0, 0.0, 0.0])) == 1


def test_draws_follow_the_probabilities() -> None:
    drawn = sampler(seed=1)
    counts = Counter(drawn.draw(np.log(P)) for _ in range(4000))
    for token, share in enumerate(P):  # within four standard deviations
        assert abs(counts[token] / 4000 - share) < 4 * (share * (1 - share) / 4000) ** 0.5


def test_the_same_seed_draws_the_same() -> None:
    def draws(seed: int | None) -> list[int]:
        one = sampler(V=50, seed=seed)
        return [one.draw(np.zeros(50)) for _ in range(20)]

    assert draws(7) == draws(7) != draws(8)
    assert draws(None) != draws(None)


rows = st.lists(st.integers(-5, 5), min_size=1, max_size=12).map(lambda values: np.array(values, dtype=np.float64))


@given(z=rows, k=st.integers(1, 15))
def test_likeliest_is_a_stable_sort(z: np.ndarray, k: int) -> None:
    assert list(likeliest(z, k)) == sorted(range(z.size), key=lambda i: (-z[i], i))[:k]


@given(z=rows, k=st.integers(0, 5), top_p=st.floats(0, 1), min_p=st.floats(0, 1), temperature=st.floats(1e-3, 100))
def test_filters_always_leave_the_likeliest_first(
    z: np.ndarray, k: int, top_p: float, min_p: float, temperature: float
) -> None:
    ids, p = sampler(V=z.size, top_k=k, top_p=top_p, min_p=min_p, temperature=temperature).candidates(z)
    assert ids[0] == z.argmax()
    assert np.all(np.diff(p) <= 0) and p[-1] > 0 and p.sum() == pytest.approx(1.0)
    assert len(ids) <= (k or z.size)


def test_log_softmax() -> None:
    assert np.exp(log_softmax(np.log(P) + 300)) == pytest.approx(P)


@pytest.mark.parametrize(
    "options", [{"temperature": 0.0}, {"top_k": 5}, {"top_k": 64, "top_p": 0.9, "min_p": 0.05}], ids=str
)
@pytest.mark.parametrize("suppressed", [(), (3, 7, 200)], ids=str)
def test_the_likeliest_alone_give_the_same_tokens(options: dict[str, float], suppressed: tuple[int, ...]) -> None:
    V, random = 300, np.random.default_rng(0)
    options = {"seed": 5, "logit_bias": {11: -math.inf}, **options}
    whole, short = (sampler((), suppressed, V, **options) for _ in range(2))
    assert short.num_likeliest is not None
    for _ in range(200):
        logits_V = random.normal(0, 2, V).round(1).astype(np.float32)  # rounded, so that there are equals
        ids_C = likeliest(logits_V, short.num_likeliest)
        assert short.draw_likeliest(ids_C, logits_V[ids_C]) == whole.draw(logits_V)


@pytest.mark.parametrize(
    "options",
    [
        {"top_k": 0},
        {"repetition_penalty": 1.1},
        {"presence_penalty": 1.0},
        {"logit_bias": {3: 1.0}},
        {"logprobs": True},
    ],
    ids=str,
)
def test_what_may_take_any_token_asks_for_all(options: dict[str, object]) -> None:
    assert sampler((), (), 300, **{"top_k": 5, **options}).num_likeliest is None
