"""A conversation as the template sees it: turns whose tool results stand beside the calls that asked for them.

The canonical template writes an assistant message in a fixed order (thought, calls, results, content) and pulls
following `role: tool` messages into the model's turn. A `Turn` is that order as a value. Messages of ours, whose parts
come in any order, are cut into as many turns as the order needs, so that tool results given as parts and as OpenAI's
messages lead to one prompt. Reading OpenAI's dictionaries is `messages.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gemsmith.chat.media_parts import check_media
from gemsmith.chat.parts import Content, read_result
from gemsmith.chat.values import (
    Audio,
    Document,
    Image,
    Malformed,
    Media,
    Message,
    Part,
    Text,
    Thought,
    ToolCall,
    ToolResult,
    Video,
)
from gemsmith.errors import MessageError

ROLES = ("system", "user", "assistant", "tool")


@dataclass(frozen=True)
class Turn:
    """One message in the template's order. `content` is a string, or parts, which the template trims one by one."""

    role: str
    content: Content = None
    thought: str = ""
    calls: tuple[ToolCall, ...] = ()
    results: tuple[ToolResult, ...] = ()


def turns_of(message: Message, index: int) -> Iterator[Turn]:
    """The turns of one of our messages. A `tool` message yields a turn that `attach` moves beside its calls."""
    if message.role not in ROLES:
        raise MessageError(f"message {index}: unknown role {message.role!r}; use one of {', '.join(ROLES)}")
    _check_parts(message, index)
    if message.role == "tool":
        yield Turn("tool", results=message.parts)  # type: ignore[arg-type]
    elif message.role == "assistant":
        for parts in _split(message.parts):
            yield from _assistant_turns(parts, index)
    else:
        yield Turn(message.role, content_of(message.parts))


def _check_parts(message: Message, index: int) -> None:
    allowed: dict[str, tuple[type, ...]] = {
        "system": (Text,),
        "user": (Text, Image, Document, Audio, Video),
        "assistant": (Text, Thought, Image, Document, Audio, Video, ToolCall, ToolResult, Malformed),
        "tool": (ToolResult,),
    }
    parts: object = message.parts  # a caller without a type checker may give anything
    if not isinstance(parts, Sequence) or isinstance(parts, str):
        raise MessageError(f"message {index}: parts must be a tuple, as of Text or Image, not {type(parts).__name__}")
    for part in message.parts:
        if not isinstance(part, allowed[message.role]):
            names = ", ".join(kind.__name__ for kind in allowed[message.role])
            raise MessageError(
                f"message {index}: a {message.role} message cannot hold {type(part).__name__}; it takes {names}"
            )
        if isinstance(part, (Text, Thought, Malformed)) and not isinstance(part.text, str):
            raise MessageError(f"message {index}: text must be a string, not {type(part.text).__name__}")
        if isinstance(part, ToolCall):
            check_call(part, index)
        if isinstance(part, Media):
            check_media(part, f"message {index}")


def check_call(call: ToolCall, index: int) -> None:
    if not isinstance(call.name, str) or not call.name:
        raise MessageError(f"message {index}: a tool call needs a name, a string; got {call.name!r}")
    if not isinstance(call.arguments, Mapping):
        raise MessageError(
            f"message {index}: arguments of {call.name} must be a mapping, not {type(call.arguments).__name__}"
        )


def _split(parts: Sequence[Part]) -> Iterator[tuple[Part, ...]]:
    """Cuts after each run of tool results: what follows is what the model wrote next."""
    current: list[Part] = []
    for part in parts:
        if current and isinstance(current[-1], ToolResult) and not isinstance(part, ToolResult):
            yield tuple(current)
            current = []
        current.append(part)
    yield tuple(current)


def _assistant_turns(parts: tuple[Part, ...], index: int) -> Iterator[Turn]:
    yield Turn(
        "assistant",
        content_of(tuple(p for p in parts if isinstance(p, Text | Malformed | Media))),
        thought="\n".join(p.text for p in parts if isinstance(p, Thought)),
        calls=tuple(p for p in parts if isinstance(p, ToolCall)),
    )
    results = tuple(p for p in parts if isinstance(p, ToolResult))
    if results:
        yield Turn("tool", results=results)


def content_of(parts: Sequence[Part]) -> Content:
    """A string for a lone text, else parts. A malformed call is text that keeps the spaces around it."""
    joined: list[Text | Media] = []
    was_malformed = False
    for part in parts:
        is_malformed = isinstance(part, Malformed)
        before = joined[-1] if joined else None
        if isinstance(part, (Text, Malformed)) and isinstance(before, Text) and (is_malformed or was_malformed):
            joined[-1] = Text(before.text + part.text)
        else:
            joined.append(Text(part.text) if isinstance(part, Malformed) else part)  # type: ignore[arg-type]
        was_malformed = is_malformed
    if len(joined) == 1 and isinstance(joined[0], Text):
        return joined[0].text
    return tuple(joined) or None


def attach(turns: list[Turn], results: Sequence[ToolResult], index: int, *, is_openai: bool) -> None:
    """Moves tool results beside the calls of the turn before them, each with the name of the tool it came from."""
    if not turns or not turns[-1].calls:
        raise MessageError(f"message {index}: a tool result without a call; put the assistant's calls before it")
    turn = turns[-1]
    for result in results:
        name = _name(turn, result, index, is_openai)
        named = replace(result, name=name, content=read_result(result.content, index))
        turn = replace(turn, results=(*turn.results, named))
    turns[-1] = turn


def _name(turn: Turn, result: ToolResult, index: int, is_openai: bool) -> str:
    """By the call's id; without one by the result's own name, else by position.

    In OpenAI's dictionaries the template also matches a missing id with a missing id; that is kept there.
    """
    if result.call_id is not None or is_openai:
        names = [call.name for call in turn.calls if call.id == result.call_id]
        if names:
            return names[-1]
    if result.name:
        return result.name
    position = len(turn.results)
    if result.call_id is not None or position >= len(turn.calls):
        asked = ", ".join(f"{call.name} ({call.id})" for call in turn.calls)
        raise MessageError(f"message {index}: tool result {result.call_id!r} answers none of the calls {asked}")
    return turn.calls[position].name
