"""Whether a reply is the one that was wanted: exact, but for white space around words.

Of a thought it only matters that it is there: the answer shows whether it was any good.
"""

from __future__ import annotations

from typing import Any

from gemsmith.chat.values import Message, ToolCall


def is_correct(reply: Message, wanted: Message) -> bool:
    """Same words; a thought where one is wanted; the same calls in the same order."""
    return (
        reply.text.strip() == wanted.text.strip()
        and (wanted.thought is None or bool((reply.thought or "").strip()))
        and not reply.errors
        and same_calls(reply.tool_calls, wanted.tool_calls)
    )


def same_calls(calls: tuple[ToolCall, ...], wanted: tuple[ToolCall, ...]) -> bool:
    """Names and arguments agree, in value and type: 5, 5.0, "5" and true are four things."""
    return len(calls) == len(wanted) and all(
        call.name == other.name and same_value(dict(call.arguments), dict(other.arguments))
        for call, other in zip(calls, wanted, strict=True)
    )


def same_value(value: Any, wanted: Any) -> bool:
    """Equal in value and type, all the way down."""
    if type(value) is not type(wanted):
        return False
    if isinstance(value, dict):
        return value.keys() == wanted.keys() and all(same_value(value[key], wanted[key]) for key in value)
    if isinstance(value, (list, tuple)):
        return len(value) == len(wanted) and all(map(same_value, value, wanted))
    return bool(value == wanted)


def shown(message: Message) -> str:
    """A reply on one line, for a list of failures."""
    calls = [
        f"{call.name}({', '.join(f'{k}={v!r}' for k, v in call.arguments.items())})" for call in message.tool_calls
    ]
    thought = [f"[thought: {message.thought}]"] if message.thought else []
    return " ".join([*thought, *calls, message.text]).strip().replace("\n", " / ")
