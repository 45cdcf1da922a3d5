"""One example to learn from: a conversation that ends with the reply to be learnt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gemsmith.chat.values import Message, Part, Text, Thought


@dataclass(frozen=True)
class Example:
    """A conversation, the tools declared to it, and whether thinking is on.

    Every assistant message is to be learnt; the last one is what `gemsmith eval` scores.
    """

    ability: str
    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...] = ()
    think: bool = False


def user(text: str) -> Message:
    """A user turn of plain text."""
    return Message("user", (Text(text),))


def reply(*parts: Part | str, thought: str | None = None) -> Message:
    """An assistant turn; strings become text, and a thought comes first."""
    words = tuple(Text(part) if isinstance(part, str) else part for part in parts)
    return Message("assistant", (Thought(thought), *words) if thought else words)
