"""What a conversation is made of: messages, parts, prompts and events. Frozen values; equality means same content.

Nothing here knows a tokenizer, a template or a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True)
class Text:
    """Words, as written."""

    text: str


@dataclass(frozen=True)
class Thought:
    """What the model thought before it answered; kept or dropped by the template's rules."""

    text: str


@dataclass(frozen=True)
class Image:
    """A picture: a path, bytes, data URL, PIL image or array. Decoded by `media`, not here."""

    source: Any


@dataclass(frozen=True)
class Audio:
    """A sound: a path, bytes, data URL or array of samples."""

    source: Any


@dataclass(frozen=True)
class Video:
    """A clip: a path, bytes or data URL."""

    source: Any


@dataclass(frozen=True)
class ToolCall:
    """The model asks for `name(**arguments)`. `id` names the call on the wire and does not count for equality."""

    name: str
    arguments: Mapping[str, Any]
    id: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class ToolResult:
    """What a tool answered: a string, or a mapping, or text and media parts. `name` may be left to `call_id`."""

    content: Any
    name: str | None = None
    call_id: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Malformed:
    """Text of the model that began like a call and is none: kept as it came, with the reason."""

    text: str
    reason: str


Media = Image | Audio | Video
Part = Text | Thought | Image | Audio | Video | ToolCall | ToolResult | Malformed


@dataclass(frozen=True)
class Usage:
    """Tokens of one request. Thought tokens are part of `completion_tokens`."""

    prompt_tokens: int
    completion_tokens: int
    thought_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class TokenLogprob:
    """One sampled token with its natural-log probability and the best alternatives, likeliest first."""

    id: int
    text: str
    logprob: float
    top: tuple[tuple[int, str, float], ...] = ()


@dataclass(frozen=True)
class Message:
    """One turn. What a reply cost and why it ended rides along and does not count for equality."""

    role: Role
    parts: tuple[Part, ...]
    usage: Usage | None = field(default=None, compare=False)
    finish_reason: FinishReason | None = field(default=None, compare=False)
    logprobs: tuple[TokenLogprob, ...] | None = field(default=None, compare=False)

    @property
    def text(self) -> str:
        """The words a reader should see: text parts, and malformed calls as they came."""
        return "".join(p.text for p in self.parts if isinstance(p, (Text, Malformed)))

    @property
    def thought(self) -> str | None:
        """All thoughts joined, or None where there are none."""
        thoughts = [p.text for p in self.parts if isinstance(p, Thought)]
        return "\n".join(thoughts) if thoughts else None

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        return tuple(p for p in self.parts if isinstance(p, ToolCall))

    @property
    def errors(self) -> tuple[Malformed, ...]:
        """Calls that could not be parsed, each with its reason."""
        return tuple(p for p in self.parts if isinstance(p, Malformed))


@dataclass(frozen=True)
class Prompt:
    """What a model reads: token ids, the media whose soft tokens go in at placeholders, and the spelled-out text."""

    ids: tuple[int, ...]
    media: tuple[Media, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Event:
    """One step of a streamed reply.

    `text` and `thought` carry the newly visible characters in `.text`; `tool_call` carries `.tool_call`;
    `error` carries a call that could not be parsed (`.text` as it came, `.reason` why); `done` carries the whole
    `.message`.
    """

    kind: Literal["text", "thought", "tool_call", "error", "done"]
    text: str = ""
    tool_call: ToolCall | None = None
    reason: str | None = None
    message: Message | None = None
