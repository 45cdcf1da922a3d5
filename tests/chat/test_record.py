"""Messages as JSON: nothing is lost, other programs can read it, and a file that lies is told so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.chat.messages import read_turns
from gemsmith.chat.record import from_record, to_record
from gemsmith.chat.values import (
    Audio,
    Document,
    Image,
    Malformed,
    Message,
    Text,
    Thought,
    TokenLogprob,
    ToolCall,
    ToolResult,
    Usage,
    Video,
)
from gemsmith.errors import MessageError

words = st.text(max_size=12)
finite = st.floats(allow_nan=False, allow_infinity=False)
numbers = st.integers(-(10**20), 10**20) | finite
json_values = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
ids = st.none() | st.text(min_size=1, max_size=8)
texts = words.map(Text)
sources = words | st.binary(max_size=9) | words.map(Path)
budgets = st.sampled_from([None, 70, 1120])
pages = st.sampled_from([None, "1-3,7", (1, 2, 3, 7)])
rates = st.sampled_from([(None, None), (8, None), (None, 2), (None, 0.5)])
media = st.one_of(
    st.builds(Image, sources, budgets),
    st.builds(Document, sources, pages, budgets),
    st.builds(Audio, sources, st.sampled_from(["refuse", "cut"])),
    st.builds(lambda source, rate, *rest: Video(source, *rate, *rest), sources, rates, budgets, st.booleans()),
)
calls = st.builds(ToolCall, words, st.dictionaries(words, json_values, max_size=3), ids)
results = st.builds(ToolResult, json_values | st.lists(texts | media, max_size=3).map(tuple), ids, ids)
answers = st.one_of(texts, words.map(Thought), calls, results, media, st.builds(Malformed, words, words))
usages = st.none() | st.builds(Usage, *[st.integers(0, 10**6)] * 3)
alternatives = st.lists(st.tuples(st.integers(0, 300), words, st.floats(max_value=0)), max_size=2).map(tuple)
tokens = st.builds(TokenLogprob, st.integers(0, 300), words, st.floats(max_value=0), alternatives)
replies = st.builds(
    Message,
    st.just("assistant"),
    st.lists(answers, max_size=5).map(tuple),
    usages,
    st.sampled_from([None, "stop", "length", "tool_calls"]),
    st.none() | st.lists(tokens, max_size=2).map(tuple),
)
messages = st.one_of(
    replies,
    st.builds(Message, st.just("system"), st.lists(texts, max_size=2).map(tuple)),
    st.builds(Message, st.just("user"), st.lists(texts | media, max_size=3).map(tuple)),
    st.builds(Message, st.just("tool"), st.lists(results, max_size=2).map(tuple)),
)


def everything(message):
    """What `==` leaves out too: ids, usage, how it ended; and whether a number is whole."""
    return repr(message)


@pytest.mark.slow
@given(messages)
def test_through_json_and_back_nothing_is_lost(message):
    text = json.dumps(to_record(message), allow_nan=False)
    again = from_record(json.loads(text))
    assert again == message
    assert everything(again) == everything(message)


def test_a_usual_reply_is_openais_dictionary_and_nothing_else():
    call = ToolCall("weather", {"city": "Zürich"}, "call_1")
    message = Message("assistant", (Thought("hm"), Text("Let me see."), call), Usage(9, 5, 2), "tool_calls")
    assert to_record(message) == {
        "role": "assistant",
        "content": "Let me see.",
        "reasoning_content": "hm",
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Zürich"}'}}
        ],
        "finish_reason": "tool_calls",
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 5,
            "total_tokens": 14,
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    }
    assert to_record(Message("user", (Text("hi"),))) == {"role": "user", "content": "hi"}
    result = Message("tool", (ToolResult("sunny", "weather", "call_1"),))
    assert to_record(result) == {"role": "tool", "content": "sunny", "name": "weather", "tool_call_id": "call_1"}


def test_records_are_messages_that_a_model_takes():
    """Rendered alike, whether the model is given the messages or their records."""
    call = ToolCall("weather", {"city": "Bern"}, "call_1")
    conversation = [
        Message("system", (Text("Be brief."),)),
        Message("user", (Text("Weather?"), Image("sky.png"))),
        Message("assistant", (Thought("ask"), call)),
        Message("tool", (ToolResult({"sky": "blue"}, "weather", "call_1"),)),
        Message("assistant", (Text("Blue."),)),
    ]
    given_, recorded = read_turns(conversation), read_turns([to_record(m) for m in conversation])

    def said(turns):
        return [(t.role, t.content or None, t.thought, t.calls, t.results) for t in turns]

    assert said(recorded) == said(given_)


def test_what_could_not_be_parsed_is_named_for_readers_too():
    message = Message("assistant", (Text("a"), Malformed("call:x{", "the call breaks off"), Text("b")))
    record = to_record(message)
    assert record["content"] == "acall:x{b"
    assert record["errors"] == [{"text": "call:x{", "reason": "the call breaks off"}]
    assert from_record(record) == message


@pytest.mark.parametrize(
    "message",
    [
        Message("user", (Image(object()),)),
        Message("tool", (ToolResult({1: "a"}),)),
        Message("tool", (ToolResult(float("nan")),)),
        Message("tool", (ToolResult(10**5000),)),
        Message("assistant", (ToolCall("f", {"a": object()}),)),
        Message("assistant", (), logprobs=(TokenLogprob(1, "a", float("nan")),)),
    ],
)
def test_what_json_has_no_form_for_is_refused(message):
    with pytest.raises(MessageError):
        to_record(message)


CALL = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
BROKEN = [
    None,
    [],
    "hi",
    {},
    {"role": "robot", "content": "x"},
    {"role": ["user"], "content": "x"},
    {"role": "user", "content": 3},
    {"role": "user", "content": {"type": "text"}},
    {"role": "user", "content": [3]},
    {"role": "user", "content": ["words"]},
    {"role": "user", "content": [{"type": "text", "text": 3}]},
    {"role": "user", "content": [{"type": "image", "url": {"a": 1}}]},
    {"role": "user", "content": [{"type": "image"}]},
    {"role": "user", "content": [{"type": "image", "url": "data:x", "is_bytes": True}]},
    {"role": "user", "content": [{"type": "smell", "url": "x"}]},
    {"role": "user", "content": [{"type": "image", "url": "x", "tokens": "many"}]},
    {"role": "user", "content": [{"type": "video", "url": "x", "sound": 1}]},
    {"role": "user", "parts": "x"},
    {"role": "user", "parts": [[]]},
    {"role": "user", "parts": [{"type": "thought"}]},
    {"role": "assistant", "content": None, "reasoning_content": 3},
    {"role": "assistant", "content": None, "tool_calls": {}},
    {"role": "assistant", "content": None, "tool_calls": [3]},
    {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
    {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "["}}]},
    {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "[]"}}]},
    {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "[" * 10**5}}]},
    {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": 3, "arguments": "{}"}}]},
    {"role": "assistant", "content": None, "tool_calls": [{**CALL, "id": 7}]},
    {"role": "assistant", "content": "x", "finish_reason": "boredom"},
    {"role": "assistant", "content": "x", "finish_reason": ["stop"]},
    {"role": "assistant", "content": "x", "usage": []},
    {"role": "assistant", "content": "x", "usage": {"prompt_tokens": 1}},
    {"role": "assistant", "content": "x", "usage": {"prompt_tokens": -1, "completion_tokens": 1}},
    {"role": "assistant", "content": "x", "usage": {"prompt_tokens": True, "completion_tokens": 1}},
    {"role": "assistant", "content": "x", "logprobs": [1]},
    {"role": "assistant", "content": "x", "logprobs": [{"id": 1, "token": "a", "logprob": "b"}]},
    {"role": "assistant", "content": "x", "logprobs": [{"id": 1, "token": "a", "top_logprobs": [1]}]},
    {"role": "assistant", "content": "x", "logprobs": [{"id": 1, "token": "a", "logprob": float("inf")}]},
    {"role": "assistant", "content": "x", "logprobs": [{"id": 1, "token": "a", "logprob": 10**400}]},
    {"role": "assistant", "content": "x", "usage": {"prompt_tokens": 10**4000, "completion_tokens": 1}},
    {"role": "tool", "content": "x", "name": 3},
]


@pytest.mark.parametrize("record", BROKEN, ids=lambda record: json.dumps(record)[:60])
def test_a_broken_record_says_what_is_wrong(record):
    with pytest.raises(MessageError, match=r"\w+ \w+"):
        from_record(record)


@given(json_values)
def test_no_record_breaks_the_reader(value):
    for record in (value, {"role": "user", "content": value}, {"role": "assistant", "parts": value}):
        try:
            from_record(record)
        except MessageError as error:
            assert len(str(error)) < 400


def test_what_was_seen_and_heard_is_remembered():
    usage = Usage(400, 5, image_tokens=280, audio_tokens=75)
    message = Message("assistant", (Text("A cup."),), usage, "stop", pictures=((4000, 3000), (1, 1)))
    record = json.loads(json.dumps(to_record(message)))
    assert record["usage"]["prompt_tokens_details"] == {"image_tokens": 280, "video_tokens": 0, "audio_tokens": 75}
    assert everything(from_record(record)) == everything(message)
    for pictures in ([[1]], [[1, 0]], [["a", "b"]], [7], 7):
        with pytest.raises(MessageError):
            from_record(record | {"pictures": pictures})
