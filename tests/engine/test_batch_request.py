"""What a line asks for, in our own forms and in OpenAI's."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.chat.record import to_record
from gemsmith.chat.values import Message, Text, Thought, TokenLogprob, ToolCall, Usage
from gemsmith.engine.batch import openai
from gemsmith.engine.batch.lines import Line
from gemsmith.engine.batch.record import Envelope, is_failure
from gemsmith.engine.batch.request import Defaults, Request, read_request
from gemsmith.errors import ContextLengthError, NumericalError, RequestError

PLAIN = Defaults()


def user(text: str) -> Message:
    return Message("user", (Text(text),))


def body(**fields) -> dict:
    return {"messages": [{"role": "user", "content": "hi"}], **fields}


def line(body: object, **fields) -> dict:
    return {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body, **fields}


def refused(read, value, defaults: Defaults = PLAIN) -> str:
    with pytest.raises(RequestError) as caught:
        read(value, 1, defaults)
    return str(caught.value)


@pytest.mark.parametrize("value", ["hi", {"prompt": "hi"}, {"prompt": "hi", "messages": None, "id": 3, "seed": None}])
def test_a_prompt_is_a_users_turn(value):
    assert read_request(value, 1, PLAIN) == Request(
        [user("hi")], {"seed": PLAIN.seed_of(1), "tools": [], "think": False}
    )


def test_a_lines_own_options_win_over_the_batchs():
    defaults = Defaults("Be brief.", think=True, sampling={"temperature": 0.5, "top_k": 3}, seed=7)
    tool = {"name": "f"}
    read = read_request({"prompt": "hi", "temperature": 0, "think": False, "tools": [tool]}, 5, defaults)
    assert read.messages == [Message("system", (Text("Be brief."),)), user("hi")]
    assert read.options == {
        "temperature": 0, "top_k": 3, "seed": defaults.seed_of(5), "tools": [tool], "think": False,
    }  # fmt: skip
    assert read_request({"prompt": "hi", "seed": 3}, 5, defaults).options["seed"] == 3


def test_system_is_the_lines_own_else_the_batchs():
    defaults = Defaults("Be brief.")
    own = {"role": "system", "content": "Be long."}
    assert read_request({"prompt": "hi", "system": "Be rude."}, 1, defaults).messages[0].text == "Be rude."
    assert read_request({"messages": [own]}, 1, defaults).messages == [own]
    assert read_request({"messages": [own | {"role": "developer"}]}, 1, defaults).messages[0]["role"] == "developer"
    assert "either `system`" in refused(read_request, {"messages": [own], "system": "x"})


def test_a_reply_of_ours_goes_back_in_as_a_message():
    reply = Message("assistant", (Text("I look."), ToolCall("f", {"x": 1}), Text("There.")))
    read = read_request({"messages": [to_record(user("hi")), to_record(reply)]}, 1, PLAIN)
    assert read.messages == [{"role": "user", "content": "hi"}, reply]


def test_seeds_differ_by_line_and_by_seed_and_by_nothing_else():
    seeds = {Defaults(seed=s).seed_of(n) for s in range(20) for n in range(1, 21)}
    assert len(seeds) == 400 and all(0 <= seed < 1 << 64 for seed in seeds)
    assert Defaults("a", True, {"top_k": 1}, seed=3).seed_of(9) == Defaults(seed=3).seed_of(9)


@pytest.mark.parametrize(
    "value, words",
    [
        (3, "a line is a string or an object"),
        ([{"role": "user"}], "a line is a string or an object"),
        (None, "found NoneType None"),
        ({}, "either a prompt or messages"),
        ({"prompt": "a", "messages": []}, "either a prompt or messages"),
        ({"prompt": 3}, "prompt must be a string, found 3"),
        ({"prompt": "a", "temprature": 1}, "unknown field 'temprature'; did you mean 'temperature'?"),
        ({"prompt": "a", "xyzzy": 1}, "unknown field 'xyzzy'; known are prompt, messages"),
        ({"messages": "a"}, "messages must be a list"),
        ({"prompt": "a", "tools": {}}, "tools must be a list"),
        ({"prompt": "a", "think": 1}, "think must be true or false, found 1"),
        ({"prompt": "a", "system": 1}, "system must be a string"),
        ({"prompt": "a", "id": 1.5}, "id must be a string"),
        ({"prompt": "a", "id": True}, "id must be a string"),
        ({"prompt": "a", "custom_id": "x" * 600}, "custom_id must be a string of up to"),
        ({"messages": [{"role": "user", "parts": 3}]}, "parts of a message must be a list"),
    ],
)
def test_what_a_line_may_not_say(value, words):
    assert words in refused(read_request, value)


def test_openais_words_are_ours():
    given = body(
        model="gpt-x", max_completion_tokens=5, tool_choice="auto", n=1, stream=False, user="me", metadata={"a": "b"},
        response_format={"type": "text"}, temperature=0, stop=["a"], logprobs=True, top_logprobs=2, think=None,
    )  # fmt: skip
    read = openai.read_request(line(given), 4, PLAIN)
    assert read.messages == given["messages"]
    assert read.model == "gpt-x"
    assert read.options == {
        "seed": PLAIN.seed_of(4), "max_tokens": 5, "temperature": 0, "stop": ["a"], "logprobs": True,
        "top_logprobs": 2, "tools": [], "think": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    "fields, think",
    [
        ({"reasoning_effort": "high"}, True),
        ({"reasoning_effort": "none"}, False),
        ({"chat_template_kwargs": {"enable_thinking": True}}, True),
        ({"think": True}, True),
        ({}, False),
    ],
)
def test_thinking_in_the_words_of_others(fields, think):
    assert openai.read_request(line(body(**fields)), 1, PLAIN).options["think"] is think


def test_no_tools_where_none_may_be_called():
    given = body(tools=[{"name": "f"}])
    assert openai.read_request(line(given), 1, PLAIN).options["tools"] == [{"name": "f"}]
    assert openai.read_request(line(given | {"tool_choice": "none"}), 1, PLAIN).options["tools"] == []


@pytest.mark.parametrize(
    "value, words",
    [
        (line(body(), method="GET"), "must be POST /v1/chat/completions, found 'GET'"),
        (line(body(), url="/v1/embeddings"), "found 'POST' '/v1/embeddings'"),
        (line(body(), custom_id=None), "custom_id must be"),
        (line(3), "body must be an object, found 3"),
        (line({}), "body has no messages"),
        (line(body(), extra=1), "unknown field 'extra'"),
        (line(body(max_token=1)), "unknown field 'max_token' in body; did you mean 'max_tokens'?"),
        (line(body(n=2)), "n can only be 1 here, found 2"),
        (line(body(n=True)), "n can only be 1 here"),
        (line(body(stream=True)), "stream can only be False"),
        (line(body(response_format={"type": "json_object"})), "response_format can only be"),
        (line(body(tool_choice="required")), "tool_choice can only be 'auto' or 'none'"),
        (line(body(reasoning_effort="much")), "reasoning_effort must be one of none, minimal"),
        (line(body(chat_template_kwargs=[])), "chat_template_kwargs must be an object"),
        (line(body(chat_template_kwargs={"x": 1})), "unknown field 'x' in chat_template_kwargs"),
        (line(body(model=3)), "model must be a string"),
    ],
)
def test_what_cannot_be_honoured_is_refused(value, words):
    assert words in refused(openai.read_request, value)


def test_an_answer_in_openais_shape():
    reply = Message(
        "assistant", (Thought("hm"), Text("Yes."), ToolCall("f", {"x": 1})), Usage(3, 4, 1), "tool_calls",
        (TokenLogprob(5, "Yes", -0.5, ((5, "Yes", -0.5), (6, "é", float("-inf")))),),
    )  # fmt: skip
    envelope = Envelope.of(Line(1, b"{}"), line(body()))
    answer = json.loads(envelope.answered(reply, "pebble"))
    assert (answer["custom_id"], answer["error"], answer["response"]["status_code"]) == ("a", None, 200)
    completion = answer["response"]["body"]
    assert (completion["object"], completion["model"], completion["created"]) == ("chat.completion", "pebble", 0)
    (choice,) = completion["choices"]
    message = choice["message"]
    assert (choice["finish_reason"], message["content"], message["reasoning_content"]) == ("tool_calls", "Yes.", "hm")
    (call,) = message["tool_calls"]
    assert call["function"] == {"name": "f", "arguments": '{"x": 1}'} and call["id"].startswith("call_")
    assert choice["logprobs"]["content"] == [
        {"token": "Yes", "logprob": -0.5, "bytes": [89, 101, 115], "top_logprobs": [
            {"token": "Yes", "logprob": -0.5, "bytes": [89, 101, 115]},
            {"token": "é", "logprob": -9999.0, "bytes": [195, 169]}]}]  # fmt: skip
    assert completion["usage"]["total_tokens"] == 7
    assert not is_failure(answer)


@pytest.mark.parametrize(
    "error, status, code",
    [
        (ContextLengthError(9, 8), 400, "context_length_exceeded"),
        (RequestError("no"), 400, "RequestError"),
        (NumericalError("NaN"), 500, "NumericalError"),
        (MemoryError(), 500, "MemoryError"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 500, "MemoryError"),
        (KeyError("oops"), 500, "internal"),
    ],
)
def test_a_failure_in_both_shapes(error, status, code):
    theirs = json.loads(Envelope.of(Line(1, b"{}"), line(body())).failed(error))
    assert (theirs["response"]["status_code"], theirs["error"]) == (status, None)
    assert theirs["response"]["body"]["error"]["code"] == code
    ours = json.loads(Envelope.of(Line(1, b"{}"), "hi").failed(error))
    assert ours.keys() == {"line", "error"} and ours["error"]["message"]
    assert is_failure(theirs) and is_failure(ours)


def test_an_answer_goes_to_the_lines_id_else_its_number():
    def name(value):
        return Envelope.of(Line(3, b"x"), value).name

    assert name("hi") == name(None) == name({"id": 1.5}) == name([]) == ("line", 3)
    assert name({"id": "x", "custom_id": "y"}) == ("id", "x")
    assert name({"custom_id": 0}) == ("custom_id", 0)
    assert name({"body": 1}) == ("custom_id", None)


@given(st.text(alphabet=st.characters(codec=None)))
def test_an_answer_is_one_line_whatever_it_says(text):
    """Also to `str.splitlines`, and where it quotes half a character."""
    envelope = Envelope.of(Line(1, b"x"), {"id": text})
    for data in (envelope.answered(Message("assistant", (Text(text),)), "m"), envelope.failed(RequestError(text))):
        assert data.endswith(b"\n") and len(data.decode().splitlines()) == 1
        assert json.loads(data)
    assert json.loads(envelope.answered(Message("assistant", (Text(text),)), "m"))["text"] == text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from([*openai.BODY, *openai.LINE, "prompt", "system", "id"])


@given(st.dictionaries(keys, json_values, max_size=4), st.booleans())
def test_any_object_is_a_request_or_a_request_error(fields, as_body):
    value = line(body(**fields)) if as_body else fields
    read = openai.read_request if openai.is_openai(value) else read_request
    try:
        read(value, 1, PLAIN)
    except RequestError as error:
        assert len(str(error)) < 1500
    assert Envelope.of(Line(1, b"x"), value).failed(RequestError("x"))
