"""Replies: streaming equals whole, nothing vanishes, and what was written as a reply is read back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.chat import Parser, parse, render_reply
from gemsmith.chat.values import Event, Malformed, Message, Text, Thought, ToolCall
from gemsmith.tokenizer import Tokenizer
from tests.chat.small import CONTROLS, SPELLED, small_tokenizer, spelled_ids

C, D, Q, R = "<|tool_call>", "<tool_call|>", '<|"|>', "<|tool_response>"
CITY = ToolCall("f", {"city": "Paris"})
# fmt: off
CALLS: list[tuple[str, ToolCall]] = [  # in Gemma's syntax, or near enough that there is only one reading
    (f"{C}call:f{{city:{Q}Paris{Q}}}{D}{R}", CITY),
    (f"{C}f{{city:{Q}Paris{Q}}}{D}", CITY),                              # missing `call:` (vllm#53431)
    (f"{C}call:f{{city:{Q}Paris{Q}}}<eos>", CITY),                       # <eos> for the end of the call
    (f"{C}call:f{{city:{Q}Paris{Q}}}<turn|>", CITY),
    (f"{C}call:f{{city:{Q}Paris{Q}}}", CITY),                            # cut off after the last brace
    (f"{C}call:f{{{Q}city{Q}:{Q}Paris{Q}}}{D}", CITY),                   # quoted keys, as inside declarations
    (f"{C} call:f {{ city : {Q}Paris{Q} }}\n{D}", CITY),
    (f"{C}call:f{{}}{D}", ToolCall("f", {})),
    (f"{C}call:get-weather{{}}{D}", ToolCall("get-weather", {})),
    (f"{C}call:mcp.files.read{{}}{D}", ToolCall("mcp.files.read", {})),
    (f"{C}call:ns:tool/x{{}}{D}", ToolCall("ns:tool/x", {})),
    (f"{C}call:f{{a:{{b:{{c:[1,{{d:{Q}x{Q}}}]}}}}}}{D}", ToolCall("f", {"a": {"b": {"c": [1, {"d": "x"}]}}})),
    (f"{C}call:f{{t:{Q}é🙂 {{[,:]}} \"'\n{Q}}}{D}", ToolCall("f", {"t": "é🙂 {[,:]} \"'\n"})),
    (f"{C}call:f{{a:-1,b:2.5,c:1e+22,d:true,e:false,f:null,g:[],h:{{}},i:{Q}{Q}}}{D}",
     ToolCall("f", {"a": -1, "b": 2.5, "c": 1e22, "d": True, "e": False, "f": None, "g": [], "h": {}, "i": ""})),
]
MALFORMED: list[str] = [
    f"{C}call:f(city:{Q}Paris{Q}){D}",                                   # round brackets (vllm#53642)
    f"{C}call:f{{city='Paris'}}{D}",                                     # key='v' (ollama#17882)
    f"{C}call:f{{city={Q}Paris{Q}}}{D}",
    f"{C}call:f{{city:'Paris'}}{D}",
    f"{C}call:f{{city:\"Paris\"}}{D}",
    f"{C}call:f{{\"city\":{Q}Paris}}{D}",
    f"{C}call:f{{city:Paris}}{D}",
    f"{C}call:f{{city:“Paris”}}{D}",
    f"{C}call:f BEGIN_ARG city: Paris END_ARG{D}",                       # drift (ollama#18275)
    f"{C}BEGIN_CALL f BEGIN_ARG city END_ARG",
    f"{C}call:f{{city:BEGIN_ARG Paris END_ARG}}{D}",
    f"{C}",                                                              # a bare opener
    f"{C}{D}",
    f"{C}call:{D}",
    f"{C}call:f{D}",
    f"{C}call:f{{{D}",
    f"{C}call:{{}}{D}",
    f"{C}{{\"name\":\"f\",\"arguments\":{{\"city\":\"Paris\"}}}}{D}",    # another model's syntax
    f"{C}call:f{{city:{Q}Paris}}{D}",                                    # a string without its end
    f"{C}call:f{{city:{Q}Par<turn|>",
    f"{C}call:f{{city:{Q}Par<eos>",
    f"{C}call:f{{city:<eos>",
    f"{C}call:f{{city:{R}",
    f"{C}call:f{{city:{Q}Paris{Q}{D}",                                   # a brace too few
    f"{C}call:f{{city:{Q}Paris{Q}}}}}{D}",                               # a brace too many
    f"{C}call:f{{city:{Q}Paris{Q}}} and more{D}",
    f"{C}call:f{{city:{Q}Paris{Q},}}{D}",
    f"{C}call:f{{,city:{Q}Paris{Q}}}{D}",
    f"{C}call:f{{city:{Q}Paris{Q} days:2}}{D}",
    f"{C}call:f{{city}}{D}",
    f"{C}call:f{{:{Q}Paris{Q}}}{D}",
    f"{C}call:f{{city:{Q}a{Q},city:{Q}b{Q}}}{D}",                        # a key twice
    f"{C}call:f{{a:[1,2}}{D}",
    f"{C}call:f{{a:[1 2]}}{D}",
    f"{C}call:f{{a:{{b:1]}}{D}",
    f"{C}call:f{{n:01}}{D}",
    f"{C}call:f{{n:1.2.3}}{D}",
    f"{C}call:f{{n:1e999}}{D}",
    f"{C}call:f{{n:NaN}}{D}",
    f"{C}call:f{{n:{'9' * 5000}}}{D}",
    f"{C}call:f{{b:True}}{D}",
    f"{C}call:f{{n:None}}{D}",
    f"{C}call:f{{a:{'[' * 100}{']' * 100}}}{D}",                         # too deep
    f"{C}call:f{{a:<|channel>thought\n<channel|>}}{D}",                  # a channel in a call
    f"{C}call:f{{a:{Q}x<channel|>y{Q}}}{D}",
    f"{C}call:f{{a:<|image|>}}{D}",
    f"{C}call:get weather{{}}{D}",                                       # a name in two words
    f"{C}call:f\n\n{D}",
    f"{C}call:f[{Q}Paris{Q}]{D}",
    f"{C}call:f{{city:{Q}Paris{Q}{C}call:f{{city:{Q}Oslo{Q}}}{D}",       # the next call begins inside
    f"call:f{{}}{D}",                                                    # an end without a beginning
]
# fmt: on


def seen(message: Message) -> str:
    """All that a user gets of a message."""
    calls = (json.dumps([c.name, c.arguments], ensure_ascii=False) for c in message.tool_calls)
    return message.text + (message.thought or "") + "".join(calls)


def check_streaming(ids: list[int], tokenizer: Tokenizer, **settings: Any) -> Message:
    """Events joined are the message. Returns it."""
    parser = Parser(tokenizer, **settings)
    events = [event for id in ids for event in parser.push(id)] + parser.finish()
    message = events[-1].message
    assert message is not None and [event.kind for event in events].count("done") == 1
    assert _joined(events, ("text", "error")) == message.text
    assert _joined(events, ("thought",)) == "".join(p.text for p in message.parts if isinstance(p, Thought))
    assert tuple(event.tool_call for event in events if event.kind == "tool_call") == message.tool_calls
    assert [event.reason for event in events if event.kind == "error"] == [e.reason for e in message.errors]
    assert parse(ids, tokenizer, **settings) == message
    return message


def _joined(events: list[Event], kinds: tuple[str, ...]) -> str:
    return "".join(event.text for event in events if event.kind in kinds)


def test_the_corpus_is_large() -> None:
    assert len(CALLS) + len(MALFORMED) >= 60 and len(MALFORMED) >= 40


@pytest.mark.parametrize(("text", "call"), CALLS)
def test_calls(tokenizer: Tokenizer, text: str, call: ToolCall) -> None:
    message = check_streaming(spelled_ids("Wait." + text, tokenizer), tokenizer)
    assert message.parts == (Text("Wait."), call)
    assert message.finish_reason == "tool_calls"
    assert json.loads(json.dumps(call.arguments)) == message.tool_calls[0].arguments


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_calls_stay_visible_with_a_reason(tokenizer: Tokenizer, text: str) -> None:
    message = check_streaming(spelled_ids(text, tokenizer), tokenizer)
    assert message.errors and all(error.reason and error.text for error in message.errors)
    for ending in ("<eos>", "<turn|>", R):
        text = text.removesuffix(ending)
    if C in text[1:]:  # the call that begins inside the broken one is a call
        assert message.tool_calls == (ToolCall("f", {"city": "Oslo"}),)
    elif "<|channel>" not in text:
        assert message.text == text


@pytest.mark.slow
@pytest.mark.parametrize("text", [text for text, _ in CALLS] + MALFORMED)
def test_cut_at_every_token_nothing_vanishes(tokenizer: Tokenizer, text: str) -> None:
    ids = spelled_ids(text, tokenizer)
    for end in range(1, len(ids), max(1, len(ids) // 150)):
        message = check_streaming(ids[:end], tokenizer)
        body = tokenizer.decode(ids[:end])
        assert message.text or message.tool_calls
        if not message.tool_calls and "channel" not in text:
            assert SPELLED.sub("", message.text) == body


def test_several_calls_and_text_between(tokenizer: Tokenizer) -> None:
    text = f"<|channel>thought\nTwo.\n<channel|>Both{C}call:f{{}}{D}\n{C}bad{D}{C}call:g{{}}{D}{R}ignored"
    message = check_streaming(spelled_ids(text, tokenizer), tokenizer)
    assert [type(part) for part in message.parts] == [Thought, Text, ToolCall, Text, Malformed, ToolCall]
    assert message.text == f"Both\n{C}bad{D}"


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("<|channel>thought\nWhy.\n<channel|>So.", "Why.", "So."),
        ("<|channel>thought\n<channel|>So.", None, "So."),  # what large models write with thinking off
        ("So.<|channel>thought\n<channel|>", None, "So."),
        ("<|channel><channel|>So.", None, "So."),
        ("<|channel>thought<channel|>So.", None, "So."),
        ("<|channel>thought\n \n\n<channel|>So.", None, "So."),
        ("<|channel>thought\nWhy.", "Why.", ""),  # cut short
        ("<|channel>thought\nWhy.\n", "Why.\n", ""),
        ("<|channel>thought", None, ""),
        ("<|channel>tho", "tho", ""),
        ("So.<channel|> And.", None, "So. And."),
        ("<|channel>thought\nA\n<|channel>thought\nB\n<channel|>So.<channel|>", "A\n\nB", "So."),
        ("<|channel>thought\nA\n<channel|><|channel>thought\nB\n<channel|>So.", "A\nB", "So."),
        ("<|channel>analysis\nA\n<channel|>So.", "analysis\nA", "So."),
        ("<|channel>thoughtful\n<channel|>So.", "thoughtful", "So."),
        ("<|channel>thought\nA\n\n<channel|>So.", "A\n", "So."),
        (f"<|channel>thought\nA{Q}b{Q}\n<channel|>{Q}c{Q}", 'A"b"', '"c"'),
        ("a<|channel>thought\n<channel|>b<pad><|image|>c<turn|>d", None, "abc"),
    ],
)
def test_thoughts(tokenizer: Tokenizer, text: str, thought: str | None, answer: str) -> None:
    message = check_streaming(spelled_ids(text, tokenizer), tokenizer)
    assert (message.thought, message.text) == (thought, answer)


def test_a_thought_that_the_prompt_opened(tokenizer: Tokenizer) -> None:
    ids = spelled_ids("Why.\n<channel|>So.<turn|>", tokenizer)
    assert check_streaming(ids, tokenizer, in_thought=True).parts == (Thought("Why."), Text("So."))
    ids = spelled_ids("<|channel>thought\nWhy.\n<channel|>So.", tokenizer)  # the model opens it again
    assert check_streaming(ids, tokenizer, in_thought=True).parts == (Thought("Why."), Text("So."))


def test_a_call_ends_a_thought(tokenizer: Tokenizer) -> None:
    message = check_streaming(spelled_ids(f"<|channel>thought\nWhy.{C}call:f{{}}{D}", tokenizer), tokenizer)
    assert message.parts == (Thought("Why."), ToolCall("f", {}))


SEQUENCES = st.lists(
    st.sampled_from(["W", "W\n", "<|channel>thought\nW\n<channel|>", "<|channel>thought\n<channel|>"])
    | st.sampled_from(
        ["<|channel>thought\nW", "<channel|>", f"{C}call:f{{x:{Q}W{Q}}}{D}", f"{C}W(", f"{Q}", "<|channel>"]
    ),
    max_size=8,
)


@pytest.mark.slow
@given(SEQUENCES)
def test_text_is_conserved_and_channels_do_not_leak(pieces: list[str]) -> None:
    tokenizer = small_tokenizer()
    words = [f"w{number}." for number in range(sum(piece.count("W") for piece in pieces))]
    text = "".join(pieces).replace("W", "{}").replace("call:f{x", "call:f{{x").replace("}" + D, "}}" + D).format(*words)
    message = check_streaming(spelled_ids(text, tokenizer), tokenizer)
    assert all(seen(message).count(word) == 1 for word in words)
    content = "".join(part.text for part in message.parts if isinstance(part, Text))
    assert "thought\n" not in content and not SPELLED.search(content)
    assert not SPELLED.search(message.thought or "")


@given(st.lists(st.sampled_from(CONTROLS) | st.sampled_from(["a", "{", "}", ":", "call:f", "thought\n", "é", "\n"])))
def test_any_sequence_streams_as_it_parses(pieces: list[str]) -> None:
    tokenizer = small_tokenizer()
    message = check_streaming(spelled_ids("".join(pieces), tokenizer), tokenizer)
    content = "".join(part.text for part in message.parts if isinstance(part, (Text, Thought)))
    assert not SPELLED.search(content.replace('"', ""))


@given(st.lists(st.integers(0, len(CONTROLS) + 256), max_size=60))
def test_any_ids_stream_as_they_parse(ids: list[int]) -> None:
    check_streaming(ids, small_tokenizer())


LETTERS = st.characters(codec="utf-8", exclude_characters="▁")
WORDS = st.lists(LETTERS | st.sampled_from([*CONTROLS, "thought\n", "\n"]), min_size=1, max_size=9).map("".join)
NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,12}", fullmatch=True).filter(lambda name: name != "call:")
KEYS = st.text(st.characters(codec="utf-8", exclude_characters="▁{}[],:"), min_size=1).filter(lambda k: k == k.strip())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS | st.just(""),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
REPLIES = st.builds(
    lambda thought, text, calls: Message("assistant", (*thought, *text, *calls)),
    st.lists(st.builds(Thought, WORDS.filter(str.strip)), max_size=1),
    st.lists(st.builds(Text, WORDS), max_size=1),
    st.lists(st.builds(ToolCall, NAMES, st.dictionaries(KEYS, VALUES, max_size=3)), max_size=3),
)


@pytest.mark.slow
@given(REPLIES)
def test_parse_reads_what_render_reply_writes(reply: Message) -> None:
    tokenizer = small_tokenizer()
    ids = render_reply(reply, tokenizer=tokenizer)
    assert tokenizer.token(ids[-1]) == (R if reply.tool_calls else "<turn|>")
    message = check_streaming(ids, tokenizer)
    assert message == reply
    written, read = (json.dumps([c.arguments for c in m.tool_calls], sort_keys=True) for m in (reply, message))
    assert written == read  # 1, 1.0 and True are equal to Python, not to JSON


def test_a_thought_already_opened_is_not_opened_again(tokenizer: Tokenizer) -> None:
    reply = Message("assistant", (Thought("Why."), Text("So.")))
    ids = render_reply(reply, tokenizer=tokenizer, in_thought=True)
    assert tokenizer.decode(ids, control=True) == "Why.\n<channel|>So.<turn|>"
    assert parse(ids, tokenizer, in_thought=True) == reply


@pytest.mark.slow
def test_a_real_vocabulary_reads_back_too(real: Tokenizer) -> None:
    call = ToolCall("get-weather", {"city": "Zürich 🙂", "l": [1, {"k": "}"}], "x": -2.5, "z": None})
    reply = Message("assistant", (Thought("\nHm,\n\n  so."), Text("  See <turn|> here\n\n"), call, call))
    assert check_streaming(render_reply(reply, tokenizer=real), real) == reply


def test_thought_tokens_are_counted(tokenizer: Tokenizer) -> None:
    parser = Parser(tokenizer)
    for id in spelled_ids("<|channel>thought\nab\n<channel|>cd", tokenizer):
        parser.push(id)
    assert parser.num_thought_tokens == len("thought\nab\n") + 1


@pytest.mark.slow
def test_a_long_call_takes_linear_time(tokenizer: Tokenizer) -> None:
    text = f"{C}call:f{{l:[{','.join(['{a:1}'] * 20_000)}],s:{Q}{'x' * 100_000}{Q}}}{D}"
    message = parse(spelled_ids(text, tokenizer), tokenizer)
    assert len(message.tool_calls[0].arguments["l"]) == 20_000
