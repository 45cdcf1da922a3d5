"""What a conversation is made of: messages, parts, prompts and events. Frozen values; equality means same content.

Nothing here knows a tokenizer, a template or a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from gemsmith.media.marks import Box, Marks, Point
    from gemsmith.media.prepared import Prepared

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
    """A picture: a path, bytes, data URL, PIL image or array [H, W, 3]. Decoded by `media`, not here.

    `tokens` is its budget of soft tokens: 70, 140, 280, 560 or 1120; None for the model's own (280).
    """

    source: Any
    tokens: int | None = None


@dataclass(frozen=True)
class Document:
    """A PDF file (a path, bytes or data URL), page after page as pictures.

    `pages` are numbers from 1, as in "1-3,7" or (1, 2, 3, 7); None for all. `tokens` is the budget of each page; None
    for 560, since a page has more to read than a photograph.
    """

    source: Any
    pages: str | tuple[int, ...] | None = None
    tokens: int | None = None


@dataclass(frozen=True)
class Audio:
    """A sound: a path, bytes, data URL, or an array of samples [n], 16,000 a second.

    A model hears at most 30 s at once. A longer sound is refused, or, with `longer="cut"`, cut at quiet places into
    several that follow one another.
    """

    source: Any
    longer: Literal["refuse", "cut"] = "refuse"


@dataclass(frozen=True)
class Video:
    """A clip: a path, bytes, data URL, or an array of frames [F, H, W, 3].

    By default a frame a second, at most 60, spread evenly; `frames` asks for a count, `fps` for frames a second.
    `tokens` is the budget of each frame; None for 70. `sound`: whether its sound track is heard too, by models that
    hear (cut like a long `Audio` where it is longer than 30 s).
    """

    source: Any
    frames: int | None = None
    fps: float | None = None
    tokens: int | None = None
    sound: bool = True


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


Media = Image | Document | Audio | Video
Part = Text | Thought | Image | Document | Audio | Video | ToolCall | ToolResult | Malformed


@dataclass(frozen=True)
class Usage:
    """Tokens of one request. Thought tokens are part of `completion_tokens`."""

    prompt_tokens: int
    completion_tokens: int
    thought_tokens: int = 0
    image_tokens: int = 0  # soft tokens of pictures and pages, part of `prompt_tokens`; likewise the next two
    video_tokens: int = 0
    audio_tokens: int = 0

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
    pictures: tuple[tuple[int, int], ...] | None = field(default=None, compare=False)  # (width, height), as asked

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
    def marks(self) -> Marks:
        """Boxes and points that the answer's JSON names, in pixels of the pictures it was asked about."""
        from gemsmith.chat.boxes import read_marks

        return read_marks(self.text, self.pictures or ())

    @property
    def boxes(self) -> tuple[Box, ...]:
        """What the answer says is where: rectangles of a picture."""
        return self.marks.boxes

    @property
    def points(self) -> tuple[Point, ...]:
        """Likewise, points of a picture."""
        return self.marks.points

    @property
    def errors(self) -> tuple[Malformed, ...]:
        """Calls that could not be parsed, each with its reason."""
        return tuple(p for p in self.parts if isinstance(p, Malformed))


@dataclass(frozen=True)
class Prompt:
    """What a model reads: token ids, the prepared media whose soft tokens go in at placeholders, and the text.

    `media` stand in the order of their placeholder ids: a picture's run, a clip's runs frame by frame, a sound's run.
    """

    ids: tuple[int, ...]
    media: tuple[Prepared, ...] = ()
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
