"""Tokens to events and a message: thoughts, calls, stop strings, usage, logprobs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.chat.values import Event, Message, Text, Thought, ToolCall
from tests.engine.fake import END_OF_TURN, V, byte_ids, control, fake_model, text_ids, tokenizer

THOUGHT = [*control("<|channel>"), *text_ids("thought\nhm STOP\n"), *control("<channel|>")]
CALL = [*control("<|tool_call>"), *text_ids("call:now{}"), *control("<tool_call|>")]


def replied(
    script: Sequence[int], stop: Sequence[str] = (), max_tokens: int | None = None
) -> tuple[list[Event], Message]:
    events = list(fake_model(script).stream("hi", stop=stop, max_tokens=max_tokens))
    message = events[-1].message
    assert message is not None
    assert [event.kind for event in events].count("done") == 1
    return events[:-1], message


def visible(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if event.kind in ("text", "error"))


def test_text_streams_as_it_comes() -> None:
    events, message = replied(byte_ids("hé!"))
    assert events == [Event("text", text="h"), Event("text", text="é"), Event("text", text="!")]
    assert message == Message("assistant", (Text("hé!"),))


@pytest.mark.parametrize(
    "text, stops, expected",
    [
        ("one. two", [". "], "one"),
        ("STOP", ["STOP"], ""),
        ("a 🌍 b", ["🌍"], "a "),
        ("a 🌍 b", ["\ufffd"], "a 🌍 b"),  # half a character is never seen
        ("aaab", ["aab"], "a"),
        ("x y z", ["z", "y"], "x "),
        ("nothing", ["stop"], "nothing"),
        ("ends in ST", ["STOP"], "ends in ST"),
    ],
)
def test_stop_strings(text: str, stops: list[str], expected: str) -> None:
    for script in (byte_ids(text), text_ids(text)):
        events, message = replied(script, stops)
        assert visible(events) == message.text == expected
        assert message.finish_reason == "stop"


def test_a_stop_string_ends_the_model_too() -> None:
    _, message = replied(byte_ids("ab.cdefgh"), ["."])
    assert message.usage is not None and message.usage.completion_tokens == 3


def test_a_stop_string_completed_by_a_broken_character_at_the_very_end() -> None:
    events, message = replied(byte_ids("aé")[:2], ["\ufffd"], max_tokens=2)
    assert (visible(events), message.text, message.finish_reason) == ("a", "a", "stop")


def test_stop_strings_do_not_look_at_thoughts() -> None:
    events, message = replied([*THOUGHT, *byte_ids("yes STOP no")], ["STOP"])
    assert message.parts == (Thought("hm STOP"), Text("yes "))
    assert visible(events) == "yes "


def test_a_stop_string_does_not_reach_across_a_call() -> None:
    _, message = replied([*byte_ids("ST"), *CALL, *byte_ids("OP"), END_OF_TURN], ["STOP"])
    assert message.parts == (Text("ST"), ToolCall("now", {}), Text("OP"))


def test_calls_before_a_stop_string_are_kept() -> None:
    _, message = replied([*byte_ids("a"), *CALL, *byte_ids("bSTOPc")], ["STOP"])
    assert message.parts == (Text("a"), ToolCall("now", {}), Text("b"))
    assert message.finish_reason == "tool_calls"


letters = st.sampled_from(
    [*byte_ids("abé"), *text_ids("ab"), *control("<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>")]
)


@pytest.mark.slow
@given(script=st.lists(letters, max_size=12), stops=st.lists(st.text("abé", min_size=1, max_size=3), max_size=2))
def test_what_streamed_is_the_message(script: list[int], stops: list[str]) -> None:
    events, message = replied(script, stops)
    assert visible(events) == message.text
    thoughts = [part.text for part in message.parts if isinstance(part, Thought)]
    assert "".join(e.text for e in events if e.kind == "thought") == "".join(thoughts)
    assert not any(stop in part.text for stop in stops for part in message.parts if isinstance(part, Text))


def test_a_call_ends_with_tool_calls() -> None:
    events, message = replied([*CALL, *control("<|tool_response>")])
    assert events == [Event("tool_call", tool_call=ToolCall("now", {}))]
    assert (message.tool_calls, message.finish_reason) == ((ToolCall("now", {}),), "tool_calls")


def test_a_call_that_is_cut_short_stays_visible() -> None:
    events, message = replied([*byte_ids("a"), *CALL[:-2]], max_tokens=len(CALL) - 1)
    assert (message.finish_reason, message.tool_calls) == ("length", ())
    assert message.text == visible(events) == "a<|tool_call>" + tokenizer().decode(CALL[1:-2])
    assert "ended inside a call" in message.errors[0].reason


def test_usage_counts_everything_the_model_read_and_wrote() -> None:
    script = [*THOUGHT, *byte_ids("ok")]
    _, message = replied(script)
    usage = message.usage
    assert usage is not None
    assert usage.prompt_tokens == len(fake_model([]).render("hi").ids)
    assert usage.completion_tokens == len(script) + 1  # and <turn|>
    assert usage.thought_tokens == len(THOUGHT) - 1  # all after the token that opened it
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_thought_the_prompt_has_opened() -> None:
    conversation = [
        {"role": "user", "content": "time?"},
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "now", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "noon"},
    ]
    script = [*byte_ids("hm\n"), *control("<channel|>"), *byte_ids("noon"), END_OF_TURN]
    message = fake_model(script).chat(conversation, think=True)
    assert message.parts == (Thought("hm"), Text("noon"))
    assert message.usage is not None and message.usage.thought_tokens == 4


def test_logprobs_are_the_models_own_and_the_best_are_sorted() -> None:
    logits = np.random.default_rng(3).normal(0, 3, (4, V)).astype(np.float32)
    reply = fake_model(list(logits)).chat(
        "hi", max_tokens=4, seed=5, top_logprobs=3, temperature=2.0, presence_penalty=3.0
    )
    assert reply.logprobs is not None and len(reply.logprobs) == 4
    for row, token in zip(logits.astype(np.longdouble), reply.logprobs, strict=True):
        expected = np.log(np.exp(row) / np.exp(row).sum())
        assert token.logprob == pytest.approx(float(expected[token.id]), abs=1e-9)
        assert [id for id, _, _ in token.top] == list(np.argsort(-expected)[:3])
        assert [p for _, _, p in token.top] == pytest.approx(sorted(expected.astype(float))[:-4:-1], abs=1e-9)
        assert token.text == tokenizer().decode([token.id], control=True)


def test_logprobs_only_when_asked() -> None:
    assert fake_model(byte_ids("ab")).chat("hi").logprobs is None
    reply = fake_model(byte_ids("ab")).chat("hi", logprobs=True)
    assert reply.logprobs is not None
    assert [(t.text, t.top) for t in reply.logprobs] == [("a", ()), ("b", ()), ("<turn|>", ())]
