"""Sampling keywords: what is accepted, and errors that say what was asked, what was found, what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gemsmith.engine.sampling import Sampling
from gemsmith.errors import SamplingError
from tests.engine.fake import V, byte_ids, fake_model

NAN, INF = float("nan"), float("inf")


def test_nothing_given_leaves_it_to_the_checkpoint() -> None:
    assert Sampling.of({}) == Sampling()
    assert (Sampling().temperature, Sampling().top_k, Sampling().top_p) == (None, None, None)


def test_none_means_absent() -> None:
    names = ("temperature", "min_p", "max_tokens", "stop", "seed", "repetition_penalty", "logit_bias", "logprobs")
    assert Sampling.of(dict.fromkeys(names)) == Sampling()


def test_numbers_of_numpy_are_numbers() -> None:
    options = Sampling.of({"temperature": np.float32(0.5), "top_k": np.int64(3), "top_p": 1, "seed": 2**64 - 1})
    assert (options.temperature, options.top_k, options.top_p, options.seed) == (0.5, 3, 1.0, 2**64 - 1)
    assert type(options.temperature) is float and type(options.top_k) is int


@pytest.mark.parametrize(
    "options, message",
    [
        ({"temprature": 1.0}, "unknown sampling option 'temprature'; known are .*temperature"),
        ({"temperature": -0.1}, r"temperature must be a number from 0.0 to 1000.0, found -0.1"),
        ({"temperature": 1e9}, "temperature must be a number from 0.0 to 1000.0, found 1000000000.0"),
        ({"temperature": NAN}, "temperature .* found nan"),
        ({"temperature": True}, "temperature .* found True"),
        ({"temperature": "hot"}, "temperature .* found 'hot'"),
        ({"temperature": 1j}, "temperature .* found 1j"),
        ({"top_k": 1.5}, "top_k must be a whole number from 0 to 16777216, found 1.5"),
        ({"top_k": -1}, "top_k .* found -1"),
        ({"top_p": 1.01}, "top_p must be a number from 0.0 to 1.0, found 1.01"),
        ({"min_p": INF}, "min_p .* found inf"),
        ({"max_tokens": 0}, "max_tokens must be a whole number from 1 to .*, found 0"),
        ({"max_tokens": 10**400}, "max_tokens .* found 1000"),
        ({"seed": -1}, "seed must be a whole number from 0 to 18446744073709551615, found -1"),
        ({"seed": "1"}, "seed .* found '1'"),
        ({"repetition_penalty": 0}, "repetition_penalty must be a number from 0.01 to 100.0, found 0"),
        ({"presence_penalty": "x" * 999}, "presence_penalty .* found 'xxx[^ ]{,60}$"),
        ({"frequency_penalty": [1]}, r"frequency_penalty .* found \[1\]"),
        ({"stop": ""}, "every stop must be a string of 1 to 1024 characters, found ''"),
        ({"stop": ["a", 5]}, "every stop must be a string .* found 5"),
        ({"stop": 5}, "stop must be a string or a list of strings, found 5"),
        ({"stop": b"x"}, "stop must be a string or a list of strings, found b'x'"),
        ({"stop": ["x"] * 17}, "at most 16 strings, found 17; give fewer"),
        ({"logit_bias": [1]}, r"logit_bias must map token ids to numbers, found \[1\]"),
        ({"logit_bias": {"the": 1}}, "logit_bias must map token ids to numbers, found 'the' for an id"),
        ({"logit_bias": {1.5: 1}}, "found 1.5 for an id"),
        ({"logit_bias": {10**5000: 1}}, "found an int of 16610 bits for an id"),
        ({"max_tokens": 10**5000}, "found an int of 16610 bits"),
        ({"logit_bias": {7: NAN}}, "logit_bias of token 7 must be a number .* found nan"),
        ({"logit_bias": {7: INF}}, r"logit_bias of token 7 must be a number \(-inf bans .*100 .*\), found inf"),
        ({"logit_bias": {7: True}}, "logit_bias of token 7 .* found True"),
        ({"logprobs": 3}, "logprobs must be True or False, found 3; top_logprobs takes how many"),
        ({"logprobs": False, "top_logprobs": 3}, "top_logprobs=3 needs logprobs, found logprobs=False"),
        ({"top_logprobs": 129}, "top_logprobs must be a whole number from 0 to 128, found 129"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SamplingError, match=message):
        Sampling.of(options)


def test_logit_bias_of_json() -> None:
    assert Sampling.of({"logit_bias": {"106": 2, 7: -INF, 8: -1e38}}).logit_bias == {106: 2.0, 7: -INF, 8: -INF}


def test_top_logprobs_asks_for_logprobs() -> None:
    assert Sampling.of({"top_logprobs": 2}).logprobs
    assert not Sampling.of({"top_logprobs": 0}).logprobs


@pytest.mark.parametrize(
    "options, message",
    [
        ({"schema": {}}, "unknown sampling option 'schema'"),
        ({"top_p": 2}, "top_p must be"),
        ({"logit_bias": {V: 1.0}}, f"logit_bias names token {V}; this model's tokens are 0 to {V - 1}"),
        ({"logit_bias": {-1: 1.0}}, "logit_bias names token -1"),
        ({"logit_bias": dict.fromkeys(range(V), -INF)}, f"bans all {V} tokens and leaves none to choose; ban fewer"),
    ],
)
def test_a_stream_refuses_when_it_is_called_not_when_it_is_read(options: dict[str, Any], message: str) -> None:
    model = fake_model(byte_ids("a"))
    for call in (model.stream, model.stream_complete):
        with pytest.raises(SamplingError, match=message):
            call("hi", **options)
