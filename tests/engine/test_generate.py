"""The loop over ids: what ends it, what it feeds back, and that it always gives its sequence back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gemsmith.engine import Model
from gemsmith.errors import ContextLengthError, NumericalError
from tests.engine.fake import END_OF_TURN, EOS, TOOL_RESPONSE, V, byte_ids, fake_model, text_ids

LETTERS = byte_ids("abcdefgh")


def live(model: Model) -> dict[int, int]:
    runtime: Any = model.runtime
    return runtime.live


@pytest.mark.parametrize("stop_id", [EOS, END_OF_TURN, TOOL_RESPONSE])
def test_each_stop_id_ends_the_reply(stop_id: int) -> None:
    reply = fake_model([*LETTERS[:3], stop_id, *LETTERS]).chat("hi")
    assert (reply.text, reply.finish_reason) == ("abc", "stop")
    assert reply.usage is not None and reply.usage.completion_tokens == 4


def test_stop_ids_are_the_checkpoints() -> None:
    letter = LETTERS[3]
    model = fake_model(LETTERS, eos_token_ids=(letter,))
    assert model.complete("x") == "abc"
    assert model.chat("x").text == "abc"  # a stop id is not shown, even where it is a word


def test_the_end_of_the_models_turn_ends_a_chat_even_if_no_stop_id() -> None:
    script = [*LETTERS[:2], END_OF_TURN, *LETTERS]
    model = fake_model(script, eos_token_ids=(EOS,))
    reply = model.chat("x")
    assert (reply.text, reply.finish_reason) == ("ab", "stop")
    assert model.complete("x", max_tokens=5) == "ab" + "ab"  # a plain text has no turns


@pytest.mark.parametrize(
    "max_tokens, text, reason", [(1, "a", "length"), (8, "abcdefgh", "length"), (9, "abcdefgh", "stop")]
)
def test_max_tokens(max_tokens: int, text: str, reason: str) -> None:
    reply = fake_model(LETTERS).chat("hi", max_tokens=max_tokens)
    assert (reply.text, reply.finish_reason) == (text, reason)
    assert reply.usage is not None and reply.usage.completion_tokens == max_tokens


def test_the_context_limit_ends_a_reply() -> None:
    num_prompt = len(fake_model([]).render("hi").ids)
    reply = fake_model(LETTERS, max_context=num_prompt + 3).chat("hi", max_tokens=100)
    assert (reply.text, reply.finish_reason) == ("abc", "length")


def test_a_prompt_that_fills_the_context_gets_no_token() -> None:
    num_prompt = len(fake_model([]).render("hi").ids)
    model = fake_model(LETTERS, max_context=num_prompt)
    reply = model.chat("hi")
    assert (reply.text, reply.finish_reason, reply.parts) == ("", "length", ())
    assert reply.usage is not None and (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (num_prompt, 0)
    assert model.complete("x" * 0, max_tokens=1) == "a"


def test_a_prompt_of_one_more_is_refused_with_both_numbers() -> None:
    num_prompt = len(fake_model([]).render("hi").ids)
    with pytest.raises(ContextLengthError, match=rf"{num_prompt} tokens .* {num_prompt - 1};") as refused:
        fake_model(LETTERS, max_context=num_prompt - 1).stream("hi")
    assert (refused.value.num_tokens, refused.value.limit) == (num_prompt, num_prompt - 1)


def test_the_prompt_is_fed_once_and_then_each_token() -> None:
    model = fake_model(LETTERS)
    runtime: Any = model.runtime
    model.chat("hi", max_tokens=3)
    assert runtime.batches == [list(model.render("hi").ids), [LETTERS[0]], [LETTERS[1]]]


def test_a_continuation_has_exactly_one_bos() -> None:
    model = fake_model(LETTERS)
    runtime: Any = model.runtime
    model.complete("<bos>hello<bos>", max_tokens=1)
    (prompt,) = runtime.batches
    assert prompt == [2, *text_ids("<bos>hello<bos>")]
    assert prompt.count(2) == 1


def test_stop_strings_end_a_continuation() -> None:
    assert fake_model(byte_ids("one\ntwo")).complete("x", stop="\n") == "one"
    assert fake_model(byte_ids("né")).complete("x", max_tokens=2) == "n\ufffd"  # cut inside a character
    assert list(fake_model(byte_ids("né!")).stream_complete("x")) == ["n", "é", "!"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_are_an_error(value: float) -> None:
    bad = np.zeros(V, dtype=np.float32)
    bad[7] = value
    model = fake_model([*LETTERS[:2], bad])
    events = model.stream("hi")
    assert [next(events).text, next(events).text] == ["a", "b"]
    with pytest.raises(NumericalError, match=r"not all finite numbers.*dtype='float32'"):
        next(events)
    assert not live(model)


def test_the_sequence_is_freed_at_the_end_and_when_the_caller_leaves() -> None:
    model = fake_model(LETTERS)
    model.chat("hi")
    assert not live(model)
    for events in (model.stream("hi"), model.stream_complete("hi")):
        next(events)
        assert len(live(model)) == 1
        events.close()
        assert not live(model)


def test_the_sequence_is_freed_before_the_last_event() -> None:
    model = fake_model(LETTERS)
    for event in model.stream("hi", stop="cd"):
        if event.kind == "done":
            assert not live(model)


def test_a_stream_nobody_reads_holds_nothing() -> None:
    model = fake_model(LETTERS)
    unread = model.stream("hi")
    assert not live(model)
    next(unread)
    del unread  # nor one that was dropped half-read
    assert not live(model)


def test_an_error_in_the_middle_frees_the_sequence() -> None:
    model = fake_model(LETTERS)
    runtime: Any = model.runtime
    runtime.script[2] = np.zeros(3, dtype=np.float32)  # a row of a wrong size: our own bug, not a user's
    runtime.script[2][0] = np.nan
    with pytest.raises(NumericalError):
        model.chat("hi")
    assert not live(model)
