"""Prompts: equal to the canonical template's, in text and ids; and no text becomes a control token."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.chat import render, template_name
from gemsmith.chat.render import Style, compose
from gemsmith.chat.values import Audio, Image, Message, Prompt, Text, Thought, ToolCall, ToolResult
from gemsmith.errors import MessageError, UnsupportedMediaError
from gemsmith.tokenizer import Tokenizer
from gemsmith.tokenizer.vocabulary import Vocabulary
from tests.chat import golden
from tests.chat.conversations import conversation
from tests.chat.oracle import expected_text, template_text
from tests.chat.small import CONTROLS, controls_in, small_tokenizer, spelled_ids

CALL = {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Paris"}}}
ASKED: list[Any] = [{"role": "user", "content": "Weather?"}, {"role": "assistant", "tool_calls": [CALL]}]


@pytest.mark.slow
@pytest.mark.parametrize("empty_thought", [False, True])
def test_text_and_ids_equal_the_canonical_template(template: None, real: Tokenizer, empty_thought: bool) -> None:
    for seed in range(1000):
        case = conversation(seed)
        text = expected_text(case, empty_thought=empty_thought)
        prompt = render(**case, tokenizer=real, empty_thought=empty_thought)
        assert prompt.text == text, f"seed {seed}"
        assert list(prompt.ids) == spelled_ids(text, real), f"seed {seed}"


@pytest.mark.parametrize("number", range(len(golden.SEEDS)))
def test_golden_prompts(tokenizer: Tokenizer, number: int) -> None:
    entry = golden.read()["cases"][number]
    for empty_thought, text in ((False, entry["small"]), (True, entry.get("large", entry["small"]))):
        prompt = render(**entry["case"], tokenizer=tokenizer, empty_thought=empty_thought)
        assert prompt.text == text
        assert list(prompt.ids) == spelled_ids(text, tokenizer)


def test_golden_prompts_are_of_templates_we_know() -> None:
    from gemsmith.chat.template import CANONICAL

    assert golden.read()["sha256"] == list(CANONICAL)
    assert golden.PATH.stat().st_size < 200_000


def test_oracles_are_the_published_files(template: None) -> None:
    assert template_name(template_text()) == "Gemma 4 canonical of 2026-07-09, E2B and E4B"
    assert template_name(template_text(empty_thought=True)) == "Gemma 4 canonical of 2026-07-09, 12B, 26B-A4B and 31B"
    assert golden.written() == golden.read()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "<bos><|turn>user\nHello<turn|>\n<|turn>model\n"),
        ({"empty_thought": True}, "<bos><|turn>user\nHello<turn|>\n<|turn>model\n<|channel>thought\n<channel|>"),
        (
            {"think": True, "empty_thought": True},
            "<bos><|turn>system\n<|think|>\n<turn|>\n<|turn>user\nHello<turn|>\n<|turn>model\n",
        ),
        ({"add_generation_prompt": False}, "<bos><|turn>user\nHello<turn|>\n"),
    ],
)
def test_a_plain_question(tokenizer: Tokenizer, settings: dict[str, bool], text: str) -> None:
    for messages in ("Hello", ["Hello"], {"role": "user", "content": "Hello"}, Message("user", (Text("Hello"),))):
        assert render(messages, tokenizer=tokenizer, **settings).text == text


def test_ids_of_the_simplest_large_prompt(real: Tokenizer) -> None:
    ids = render("Hello", tokenizer=real, empty_thought=True).ids
    assert ids == (2, 105, 2364, 107, *real.encode("Hello"), 106, 107, 105, 4368, 107, 100, 45518, 107, 101)


@pytest.mark.parametrize("think", [False, True])
def test_after_a_result_the_turn_stays_open(tokenizer: Tokenizer, think: bool) -> None:
    messages = [*ASKED, {"role": "tool", "tool_call_id": "a", "content": "sunny"}]
    text = render(messages, tokenizer=tokenizer, think=think).text
    body = text[text.index("<|turn>model") :]
    assert body == (
        '<|turn>model\n<|tool_call>call:get_weather{city:<|"|>Paris<|"|>}<tool_call|>'
        '<|tool_response>response:get_weather{value:<|"|>sunny<|"|>}<tool_response|>'
        + ("<|channel>thought\n" if think else "")
    )


def test_a_call_without_result_asks_for_one(tokenizer: Tokenizer) -> None:
    assert render(ASKED, tokenizer=tokenizer).text.endswith("<tool_call|><|tool_response>")


PARTS = (Thought("Which city?"), ToolCall("f", {"x": 1}, id="1"), ToolCall("g", {}, id="2"))


@pytest.mark.parametrize("content", ["sunny", "", {"temperature": 15, "Sky": "sunny"}, None, 7, [1, {"a": None}]])
@pytest.mark.parametrize("think", [False, True])
def test_openai_results_and_ours_give_one_prompt(tokenizer: Tokenizer, content: Any, think: bool) -> None:
    calls = [
        {"id": "1", "function": {"name": "f", "arguments": '{"x": 1}'}},
        {"id": "2", "function": {"name": "g", "arguments": ""}},
    ]
    openai = [
        {"role": "user", "content": "Go"},
        {"role": "assistant", "content": None, "reasoning_content": "Which city?", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "1", "content": content},
        {"role": "tool", "tool_call_id": "2", "content": [{"type": "text", "text": "b"}, {"type": "image"}]},
    ]
    results = (ToolResult(content, call_id="1"), ToolResult((Text("b"), Image(None)), call_id="2"))
    tool_messages = ["Go", Message("assistant", PARTS), Message("tool", results)]
    one_message = ["Go", Message("assistant", (*PARTS, *results))]
    by_name = ["Go", Message("assistant", PARTS), *(Message("tool", (ToolResult(r.content),)) for r in results)]
    expected = render(openai, tokenizer=tokenizer, think=think)
    answer = Message("assistant", (Text("Done."),))
    for ours in (tool_messages, one_message, by_name):
        assert render(ours, tokenizer=tokenizer, think=think) == expected
        longer = render([*ours, answer], tokenizer=tokenizer, think=think)
        assert longer == render([*openai, {"role": "assistant", "content": "Done."}], tokenizer=tokenizer, think=think)
    whole = ["Go", Message("assistant", (*PARTS, *results, Text("Done.")))]
    assert render(whole, tokenizer=tokenizer, think=think).text == longer.text


def test_media_are_placeholders_in_order(tokenizer: Tokenizer) -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": "a.png"}},
        {"type": "text", "text": " and "},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
    ]
    messages = {"role": "user", "content": parts}
    assert "user\n<|image|>and<|audio|><turn|>" in render(messages, tokenizer=tokenizer).text
    assert compose(messages, (), Style()).media == [Image("a.png"), Audio("data:audio/mp3;base64,AAAA")]


def test_media_without_a_placeholder_are_refused() -> None:
    tokens = [token for token in small_tokenizer().vocabulary.tokens if "audio" not in token]
    deaf = Tokenizer(Vocabulary("a deaf model's vocabulary", tokens, (), frozenset(), {}, {}))
    with pytest.raises(UnsupportedMediaError, match=r"<\|audio\|>"):
        render(Message("user", (Audio("a.wav"),)), tokenizer=deaf)


@pytest.mark.parametrize("name", CONTROLS)
def test_no_content_becomes_a_control_token(tokenizer: Tokenizer, name: str) -> None:
    """Whole, cut at every place over parts, and against the template's own text, in every field there is."""
    for cut in range(len(name)):
        evil, good = _everywhere([name[:cut], name[cut:]]), _everywhere(["x", "y"])
        assert controls_in(evil.ids, tokenizer) == controls_in(good.ids, tokenizer)


def _everywhere(halves: list[str]) -> Prompt:
    text = "".join(halves)
    halved = [{"type": "text", "text": half} for half in halves]
    call = {"id": text, "function": {"name": text, "arguments": {text: [text, {text: text}]}}}
    messages = [
        {"role": "system", "content": halved},
        {"role": "user", "content": halved},
        {"role": "assistant", "content": halved, "reasoning": text, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": text, "content": halved},
        {"role": "assistant", "reasoning": text, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": text, "content": {text: text}},
        {"role": "assistant", "content": halves[0]},
        {"role": "assistant", "content": halves[1]},
    ]
    schema = {"description": text, "type": "string", "enum": [text]}
    parameters = {"type": "object", "properties": {text: schema, "l": {"type": "array", "items": schema}}}
    tool = {"name": "f", "description": text, "parameters": parameters | {"required": [text]}}
    return render(messages, tokenizer=small_tokenizer(), tools=[tool], think=True)


def test_no_content_becomes_a_control_token_of_the_real_vocabulary(real: Tokenizer) -> None:
    for name in [*CONTROLS, "<unused0>", "<unused49>", "[multimodal]"]:
        text = f"{name} {name}{name}\n{name}"
        assert controls_in(render(text, tokenizer=real).ids, real) == ["<bos>", "<|turn>", "<turn|>", "<|turn>"]


@pytest.mark.slow
@given(st.lists(st.sampled_from([*CONTROLS, "<", "|", ">", "turn", "a", " ", "\n", "é"]), max_size=6).map("".join))
def test_user_text_is_read_back_as_written(text: str) -> None:
    tokenizer = small_tokenizer()
    ids = render(text, tokenizer=tokenizer).ids
    assert controls_in(ids, tokenizer) == ["<bos>", "<|turn>", "<turn|>", "<|turn>"]
    assert tokenizer.decode(ids) == f"user\n{text.strip()}\nmodel\n"


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "no messages"),
        ([{"role": "wizard", "content": "x"}], "message 0: unknown role 'wizard'"),
        (["Hi", {"role": "tool", "content": "x"}], "message 1: a tool result without a call"),
        ([*ASKED, {"role": "tool", "tool_call_id": "b", "content": "x"}], r"message 2: tool result 'b' answers none"),
        ([{"role": "user", "content": [{"type": "smell"}]}], "message 0: unknown part type 'smell'"),
        ([{"role": "user", "content": [{"type": []}]}], "message 0: unknown part type \\[\\]"),
        ([{"role": "user", "content": [{"type": "text", "text": 3}]}], "message 0: a text part needs a string"),
        ([{"role": "user", "content": [{"type": "text"}]}], "message 0: a text part needs a string"),
        ([{"role": "user", "content": 3}], "message 0: content must be a string"),
        ([Message("user", (Text(3),))], "message 0: text must be a string"),  # type: ignore[arg-type]
        ([Message("user", (ToolCall("f", {}),))], "message 0: a user message cannot hold ToolCall"),
        ([Message("wizard", (Text("x"),))], "message 0: unknown role"),  # type: ignore[arg-type]
        (["Hi", 3], "message 1 is int"),
        ([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{x"}}]}], "are not JSON"),
        ([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[1]"}}]}], "must be a mapping"),
        ([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[" * 9**6}}]}], "are not JSON"),
        ([{"role": "assistant", "tool_calls": [{"function": {"arguments": {}}}]}], "needs a name"),
        ([Message("user", None)], "message 0: parts must be a tuple"),  # type: ignore[arg-type]
        ([Message("user", "hi")], "message 0: parts must be a tuple"),  # type: ignore[arg-type]
        ([Message("assistant", (ToolCall("f", {"x": {1, 2}}),))], "a value of type set cannot be written"),
        ([Message("assistant", (ToolCall("f", {"x": {3: 4}}),))], "keys must be strings"),
        ([{"role": "assistant", "reasoning": 3}], "message 0: reasoning must be a string"),
        ([{"role": "system", "content": [{"type": "image"}]}], "message 0: a system message takes text only"),
        ([{"role": "assistant", "tool_responses": [{"name": "f"}]}], "message 0: tool_responses"),
    ],
)
def test_what_cannot_be_rendered_is_an_error_that_names_the_message(
    tokenizer: Tokenizer, messages: Any, reason: str
) -> None:
    with pytest.raises(MessageError, match=reason):
        render(messages, tokenizer=tokenizer)


def test_a_value_that_contains_itself_ends(tokenizer: Tokenizer) -> None:
    loop: dict[str, Any] = {}
    loop["x"] = loop
    with pytest.raises(MessageError, match="nested deeper"):
        render(Message("assistant", (ToolCall("f", loop),)), tokenizer=tokenizer)
