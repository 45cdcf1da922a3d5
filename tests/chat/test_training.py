"""What a model learns: exactly what it must write itself, after exactly the prompts it will read."""

from __future__ import annotations

import random
from itertools import groupby
from typing import Any

import pytest

from gemsmith.chat import opens_thought, parse, render, render_reply, render_training
from gemsmith.chat.values import Message, Text, Thought, ToolCall, ToolResult
from gemsmith.errors import MessageError
from gemsmith.tokenizer import Tokenizer

CALL, RESULT = ToolCall("f", {"x": 1}), ToolResult({"y": 2}, name="f")
LOOP = [
    Message("user", (Text("Add."),)),
    Message("assistant", (CALL,)),
    Message("tool", (RESULT,)),
    Message("assistant", (CALL, CALL)),
    Message("tool", (RESULT, RESULT)),
    Message("assistant", (Text("Done."),)),
    Message("user", (Text("Thanks."),)),
    Message("assistant", (Text("Welcome."),)),
]


def stretches(ids: list[int], mask: list[bool]) -> list[tuple[int, int]]:
    """Where the mask is on, from and to."""
    found, at = [], 0
    for learn, group in groupby(mask):
        length = len(list(group))
        found += [(at, at + length)] if learn else []
        at += length
    return found


def test_calls_answers_and_closings_are_marked(tokenizer: Tokenizer) -> None:
    ids, mask = render_training(LOOP, tokenizer=tokenizer)
    assert tuple(ids) == render(LOOP, tokenizer=tokenizer, add_generation_prompt=False).ids
    learnt = [tokenizer.decode(ids[a:b], control=True) for a, b in stretches(ids, mask)]
    call = "<|tool_call>call:f{x:1}<tool_call|>"
    assert learnt == [f"{call}<|tool_response>", f"{call}{call}<|tool_response>", "Done.<turn|>", "Welcome.<turn|>"]


def test_thoughts_are_marked_and_dropped_ones_make_their_turn_context(tokenizer: Tokenizer) -> None:
    messages = ["Hi", Message("assistant", (Thought("Hm."), Text("Hello."))), "And?"]
    messages.append(Message("assistant", (Thought("So."), Text("Bye."))))
    ids, mask = render_training(messages, tokenizer=tokenizer, think=True)
    learnt = [tokenizer.decode(ids[a:b], control=True) for a, b in stretches(ids, mask)]
    assert learnt == ["<|channel>thought\nSo.\n<channel|>Bye.<turn|>"]


@pytest.mark.parametrize("thought", [(), (Thought("Ok."),)])
def test_after_a_result_the_prompt_opens_the_thought(tokenizer: Tokenizer, thought: tuple[Thought, ...]) -> None:
    messages = [*LOOP[:5], Message("assistant", (*thought, Text("Done.")))]
    ids, mask = render_training(messages, tokenizer=tokenizer, think=True)
    start, end = stretches(ids, mask)[-1]
    assert tuple(ids[:start]) == render(messages[:-1], tokenizer=tokenizer, think=True).ids
    assert tokenizer.decode(ids[start:end], control=True) == ("Ok.\n" if thought else "") + "<channel|>Done.<turn|>"


def test_an_empty_thought_is_part_of_the_prompt(tokenizer: Tokenizer) -> None:
    ids, mask = render_training(LOOP, tokenizer=tokenizer, empty_thought=True)
    for start, _ in stretches(ids, mask):
        assert any(
            tuple(ids[:start]) == render(LOOP[:end], tokenizer=tokenizer, empty_thought=True).ids
            for end in range(1, len(LOOP))
        )
    assert tokenizer.decode(ids[-15:], control=True).endswith("<channel|>Welcome.<turn|>\n")


def training_conversation(rng: random.Random, *, think: bool) -> list[Message]:
    """User turns with tool loops between; thoughts only where there is thinking."""

    def said() -> Text:
        return Text(rng.choice(("Yes.", "No é 🙂", "a\nb", "{x}")))

    messages: list[Message] = [Message("system", (Text("Be kind."),))] if rng.random() < 0.3 else []
    for _ in range(rng.randint(1, 3)):
        messages.append(Message("user", (said(),)))
        for _ in range(rng.choice((0, 0, 1, 2))):
            thought = (Thought(rng.choice(("Call it.", "\n so"))),) if think and rng.random() < 0.7 else ()
            calls = (CALL,) * rng.randint(1, 2)
            results = tuple(ToolResult(rng.choice(({"y": 2}, "ok", (Text("see"),))), name="f") for _ in calls)
            messages += [Message("assistant", (*thought, *calls)), Message("tool", results)]
        thought = (Thought("Answer."),) if think and rng.random() < 0.7 else ()
        messages.append(Message("assistant", (*thought, said())))
    return messages


@pytest.mark.parametrize("empty_thought", [False, True])
@pytest.mark.parametrize("think", [False, True])
@pytest.mark.parametrize("which", ["tokenizer", "real"])
def test_what_comes_before_a_stretch_is_the_prompt_at_inference(
    request: pytest.FixtureRequest, which: str, think: bool, empty_thought: bool
) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(which)
    rng = random.Random(7)
    for number in range(60):
        messages = training_conversation(rng, think=think)
        style: dict[str, Any] = {"tokenizer": tokenizer, "think": think, "empty_thought": empty_thought}
        style["preserve_thinking"] = number % 2 == 0
        ids, mask = render_training(messages, **style)
        prompts = {render(messages[:end], **style).ids: end for end in range(1, len(messages))}
        found = stretches(ids, mask)
        for start, end in found:
            reply = messages[prompts[tuple(ids[:start])]]  # or KeyError: no prompt of inference
            read = parse(ids[start:end], tokenizer, in_thought=opens_thought(ids[:start], tokenizer))
            assert read == reply
        assert found and (found[-1][1] == len(ids) - 1)  # the last reply is always learnt; "\n" after it is not
        if not think and not empty_thought:
            assert tuple(ids) == render(messages, **style, add_generation_prompt=False).ids
            assert len(found) == sum(message.role == "assistant" for message in messages)


@pytest.mark.parametrize("parts", [(Text("Yes."),), (CALL,), (CALL, CALL)])
def test_a_reply_alone_is_what_training_marks(real: Tokenizer, parts: tuple[Any, ...]) -> None:
    reply = Message("assistant", parts)
    ids, mask = render_training(["Hi", reply], tokenizer=real)
    assert [id for id, learn in zip(ids, mask, strict=True) if learn] == render_reply(reply, tokenizer=real)


def test_what_cannot_be_learnt_is_refused(tokenizer: Tokenizer) -> None:
    thinking = ["Hi", Message("assistant", (Thought("Hm."), Text("Hello.")))]
    with pytest.raises(MessageError, match="think is False"):
        render_training(thinking, tokenizer=tokenizer)
    words_and_call = ["Hi", Message("assistant", (Text("Wait."), CALL)), LOOP[2], Message("assistant", (Text("Ok."),))]
    with pytest.raises(MessageError, match="beside calls whose results follow"):
        render_training(words_and_call, tokenizer=tokenizer)
