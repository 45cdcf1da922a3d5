"""What counts as correct."""

import pytest

from gemsmith.chat.values import Malformed, Message, Text, Thought, ToolCall
from gemsmith.eval.check import is_correct, same_value, shown


def reply(*parts: object) -> Message:
    return Message("assistant", tuple(Text(part) if isinstance(part, str) else part for part in parts))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "wanted", "correct"),
    [
        (reply("42"), reply("42"), True),
        (reply(" 42\n"), reply("42"), True),
        (reply("42."), reply("42"), False),
        (reply("hello"), reply("Hello"), False),
        (reply(), reply("42"), False),
        (reply(Thought("anything"), "42"), reply(Thought("17+25"), "42"), True),
        (reply("42"), reply(Thought("17+25"), "42"), False),
        (reply(Thought(" \n"), "42"), reply(Thought("17+25"), "42"), False),
        (reply(Thought("17+25"), "41"), reply(Thought("17+25"), "42"), False),
        (reply(Thought("more than asked"), "42"), reply("42"), True),
        (reply(ToolCall("f", {"a": 1, "b": "x"})), reply(ToolCall("f", {"b": "x", "a": 1})), True),
        (reply(ToolCall("g", {"a": 1})), reply(ToolCall("f", {"a": 1})), False),
        (reply(ToolCall("f", {"a": 1.0})), reply(ToolCall("f", {"a": 1})), False),
        (reply(ToolCall("f", {"a": True})), reply(ToolCall("f", {"a": 1})), False),
        (reply(ToolCall("f", {"a": "1"})), reply(ToolCall("f", {"a": 1})), False),
        (reply(ToolCall("f", {"a": 1, "b": 2})), reply(ToolCall("f", {"a": 1})), False),
        (reply(ToolCall("f", {}), ToolCall("f", {})), reply(ToolCall("f", {})), False),
        (reply("calling", ToolCall("f", {})), reply(ToolCall("f", {})), False),
        (reply(Malformed("42", "cut off")), reply("42"), False),
        (reply("f()"), reply(ToolCall("f", {})), False),
    ],
)
def test_correct(given: Message, wanted: Message, correct: bool) -> None:
    assert is_correct(given, wanted) is correct


def test_values_are_compared_all_the_way_down() -> None:
    assert same_value({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]})
    assert not same_value({"a": [1, {"b": False}]}, {"a": [1, {"b": 0}]})
    assert not same_value([1], [1, 2])


def test_a_reply_is_shown_on_one_line() -> None:
    assert shown(reply(Thought("a\nb"), ToolCall("f", {"x": 1}), "done")) == "[thought: a / b] f(x=1) done"
