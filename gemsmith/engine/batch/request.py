"""What a line asks for, in our own short forms: "a prompt", {"prompt": …} or {"messages": […], "tools": […], …}.

OpenAI's batch lines are read by `openai.py`. Either way the result is what `Model.stream` takes. A field that nobody
knows is an error: a mistyped option that is silently left out would spoil a night's work.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from gemsmith.chat.record import from_record
from gemsmith.chat.values import Message, Text
from gemsmith.config.fields import shown
from gemsmith.engine.sampling import Sampling
from gemsmith.errors import RequestError

SAMPLING = tuple(each.name for each in fields(Sampling))
IDS = ("id", "custom_id")
FIELDS = ("prompt", "messages", "system", "tools", "think", "preserve_thinking", *SAMPLING, *IDS)
MAX_ID = 512


@dataclass(frozen=True)
class Defaults:
    """What holds for every line that does not say otherwise."""

    system: str | None = None
    think: bool = False
    sampling: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def seed_of(self, number: int) -> int:
        """The seed of a line: it depends on nothing but the batch's seed and the line's number."""
        digest = hashlib.sha256(f"gemsmith batch {self.seed} {number}".encode()).digest()
        return int.from_bytes(digest[:8], "big")


@dataclass(frozen=True)
class Request:
    """One line's messages, and the keywords that `Model.stream` takes."""

    messages: list[Any]
    options: dict[str, Any]
    model: str | None = None  # what the line calls its model: the batch's answers all the same


def read_request(value: Any, number: int, defaults: Defaults) -> Request:
    """The request of a line in one of our own forms; RequestError says what is wrong with it."""
    given = {"prompt": value} if isinstance(value, str) else value
    if not isinstance(given, dict):
        raise RequestError(
            f'a line is a string or an object such as {{"prompt": "…"}}, found {type(value).__name__} {shown(value)}'
        )
    check_known(given, FIELDS)
    for key in IDS:
        if given.get(key) is not None:
            check_id(key, given[key])
    if (given.get("prompt") is None) == (given.get("messages") is None):
        raise RequestError("a line has either a prompt or messages")
    messages = [prompt_of(given["prompt"])] if given.get("prompt") is not None else messages_of(given)
    system = text_of(given, "system") if given.get("system") is not None else None
    return request(messages, given, number, defaults, system)


def request(
    messages: list[Any], given: Mapping[str, Any], number: int, defaults: Defaults, system: str | None = None
) -> Request:
    """The request that messages and options make, over the defaults; a null means what an absent field means."""
    own = {key: given[key] for key in SAMPLING if given.get(key) is not None}
    options = {"seed": defaults.seed_of(number), **defaults.sampling, **own}
    options["tools"] = list_of(given, "tools") if given.get("tools") is not None else []
    options["think"] = truth_of(given, "think") if given.get("think") is not None else defaults.think
    if given.get("preserve_thinking") is not None:
        options["preserve_thinking"] = truth_of(given, "preserve_thinking")
    return Request(with_system(messages, system, defaults.system), options)


def with_system(messages: list[Any], own: str | None, default: str | None) -> list[Any]:
    """The messages under the line's own instructions, or else under the batch's, unless they bring theirs."""
    brings = any(role_of(message) in ("system", "developer") for message in messages)
    if own is not None and brings:
        raise RequestError("a line has either `system` or a system message among its messages")
    system = own if own is not None else None if brings else default
    return messages if system is None else [Message("system", (Text(system),)), *messages]


def messages_of(given: Mapping[str, Any]) -> list[Any]:
    """The messages of a line: OpenAI's dictionaries as they are, records of ours (they have `parts`) as messages."""
    return [
        from_record(message) if isinstance(message, dict) and "parts" in message else message
        for message in list_of(given, "messages")
    ]


def role_of(message: Any) -> Any:
    """Whose turn a message is."""
    return message.role if isinstance(message, Message) else message.get("role") if isinstance(message, dict) else None


def prompt_of(prompt: Any) -> Message:
    """A user's turn."""
    if not isinstance(prompt, str):
        raise RequestError(f"prompt must be a string, found {shown(prompt)}")
    return Message("user", (Text(prompt),))


def check_known(given: Mapping[str, Any], known: Collection[str], where: str = "") -> None:
    """RequestError that names the first field nobody knows, and the nearest that somebody does."""
    from difflib import get_close_matches

    for key in given:
        if key not in known:
            close = get_close_matches(key[:80], known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
            raise RequestError(f"unknown field {key[:80]!r}{where}; {hint}")


def check_id(key: str, value: Any) -> None:
    """An id is repeated in the answer, so it is short."""
    is_text = isinstance(value, str) and len(value) <= MAX_ID
    if not is_text and (type(value) is not int or abs(value) >= 1 << 63):
        raise RequestError(f"{key} must be a string of up to {MAX_ID} characters or a whole number of up to 64 bits")


def text_of(given: Mapping[str, Any], key: str) -> str:
    """A field that must be a string."""
    if not isinstance(given[key], str):
        raise RequestError(f"{key} must be a string, found {shown(given[key])}")
    return str(given[key])


def truth_of(given: Mapping[str, Any], key: str) -> bool:
    """A field that must be true or false."""
    if not isinstance(given[key], bool):
        raise RequestError(f"{key} must be true or false, found {shown(given[key])}")
    return bool(given[key])


def list_of(given: Mapping[str, Any], key: str) -> list[Any]:
    """A field that must be a list."""
    if not isinstance(given[key], list):
        raise RequestError(f"{key} must be a list, found {shown(given[key])}")
    return list(given[key])
