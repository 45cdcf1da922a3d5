"""One part of a message as JSON and back: words, thoughts, media, calls, results, and calls that are none.

Serves `record.py`. A call's arguments are JSON text, as OpenAI writes them. Media are named by their path or address;
bytes become a data URL; a picture that is only in memory has no form here, and says so. Options that are not the
usual ones stand beside the source under their own names.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gemsmith.chat import parts
from gemsmith.chat.media_parts import BASE64, check_media, option_names
from gemsmith.chat.values import Malformed, Media, Part, Text, Thought, ToolCall, ToolResult
from gemsmith.errors import MessageError

MAX_DEPTH = 64


def part_record(part: Part) -> dict[str, Any]:
    """Any part, with its kind in `type`."""
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Thought):
        return {"type": "thought", "text": part.text}
    if isinstance(part, Malformed):
        return {"type": "error", "text": part.text, "reason": part.reason}
    if isinstance(part, ToolCall):
        return call_record(part)
    if isinstance(part, ToolResult):
        return {"type": "tool_result", **result_record(part)}
    return media_record(part)


def read_part(record: Any) -> Part:
    """The part that `record` describes."""
    if not isinstance(record, Mapping):
        raise MessageError(f"a part of a message is a JSON object, found {type(record).__name__}")
    kind = record.get("type")
    if kind == "thought":
        return Thought(field(record, "text", str))
    if kind == "error":
        return Malformed(field(record, "text", str), field(record, "reason", str))
    if kind == "function":
        return read_call(record)
    if kind == "tool_result":
        return read_result(record)
    return read_content_part(record)


def media_record(part: Media) -> dict[str, Any]:
    """A picture, document, sound or clip by its path, its address, or its bytes; and its options."""
    kind = type(part).__name__.lower()
    check_media(part, f"a part of type {kind}")
    if isinstance(part.source, Path):
        record: dict[str, Any] = {"type": kind, "path": str(part.source)}
    elif isinstance(part.source, (bytes, bytearray)):
        record = {"type": kind, "url": BASE64 + base64.b64encode(part.source).decode(), "is_bytes": True}
    elif isinstance(part.source, str):
        record = {"type": kind, "url": part.source}
    else:
        raise MessageError(
            f"a {kind} in memory ({type(part.source).__name__}) cannot be written as JSON; save it to a file and give"
            " its path"
        )
    usual = type(part)(part.source)
    options = {name: getattr(part, name) for name in option_names(type(part))}
    return record | {name: data(value) for name, value in options.items() if value != getattr(usual, name)}


def read_content_part(record: Any) -> Text | Media:
    """Words or media, in our form or OpenAI's."""
    part = parts.read_part(record, 0) if isinstance(record, Mapping) else None
    if part is None or (isinstance(part, Media) and not isinstance(part.source, str)):
        raise MessageError(f"a part of a message's content is text or names its media, found {shortened(record)}")
    if isinstance(part, Media) and isinstance(record.get("path"), str):
        return replace(part, source=Path(part.source))
    if isinstance(part, Media) and record.get("is_bytes") is True:
        return replace(part, source=_decoded(part.source))
    return part


def _decoded(url: str) -> bytes:
    try:
        return base64.b64decode(url.removeprefix(BASE64), validate=True)
    except ValueError as error:
        raise MessageError(f"the bytes of a part are not base64: {error}") from None


def content_record(content: Sequence[Part]) -> Any:
    """A lone text as a string, nothing as null, else a list of parts."""
    if len(content) == 1 and isinstance(content[0], Text):
        return content[0].text
    return [part_record(part) for part in content] or None


def read_content(content: Any) -> tuple[Text | Media, ...]:
    """What `content_record` wrote, or OpenAI's own; parts of other kinds are none that stand in a content."""
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content),)
    if not isinstance(content, Sequence):
        raise MessageError(f"content is a string, a list of parts or null, found {type(content).__name__}")
    return tuple(read_content_part(part) for part in content)


def call_record(call: ToolCall) -> dict[str, Any]:
    """OpenAI's form of a call; without an id where it has none."""
    function = {"name": call.name, "arguments": json.dumps(data(call.arguments), ensure_ascii=False)}
    return ({} if call.id is None else {"id": call.id}) | {"type": "function", "function": function}


def read_call(record: Any) -> ToolCall:
    """A call, its arguments decoded."""
    function = record.get("function") if isinstance(record, Mapping) else None
    if not isinstance(function, Mapping):
        raise MessageError(f"a tool call is an object with a function, found {shortened(record)}")
    text = field(function, "arguments", str)
    try:
        arguments = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"the arguments of a tool call are not JSON ({error}): {text[:80]!r}") from None
    if not isinstance(arguments, dict):
        raise MessageError(f"the arguments of a tool call are a JSON object, found {shortened(arguments)}")
    return ToolCall(field(function, "name", str), data(arguments), field(record, "id", str, optional=True))


def result_record(part: Part) -> dict[str, Any]:
    """A result with the fields of OpenAI's tool message. Text and media parts are a list of parts, not data."""
    if not isinstance(part, ToolResult):
        raise MessageError(f"a tool message holds results, found {type(part).__name__}")
    is_parts = isinstance(part.content, tuple) and all(isinstance(each, Text | Media) for each in part.content)
    content = {"content": [part_record(each) for each in part.content] if is_parts else data(part.content)}
    names = {"name": part.name, "tool_call_id": part.call_id, "is_parts": is_parts or None}
    return content | {key: value for key, value in names.items() if value is not None}


def read_result(record: Mapping[str, Any]) -> ToolResult:
    """A result; data that happens to look like parts stays data."""
    content = record.get("content")
    content = read_content(content) if record.get("is_parts") is True else data(content)
    name, call_id = (field(record, key, str, optional=True) for key in ("name", "tool_call_id"))
    return ToolResult(content, name, call_id)


def data(value: Any, depth: int = 0) -> Any:
    """A copy made of what JSON has: tuples become lists. MessageError for anything else."""
    if depth > MAX_DEPTH:
        raise MessageError(f"data of a tool is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: data(each, depth + 1) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [data(each, depth + 1) for each in value]
    if value is None or isinstance(value, (bool, str)) or (isinstance(value, int) and abs(value) < 10**4000):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise MessageError(f"a tool's data must be values that JSON has, found {shortened(value)}")


def field(record: Mapping[str, Any], key: str, kind: type, *, optional: bool = False) -> Any:
    """A value of the right type, or MessageError."""
    value = record.get(key)
    if value is None and optional:
        return None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        raise MessageError(f"{key} of a message must be {NAMES[kind]}, found {shortened(value)}")
    return value


NAMES: dict[type, str] = {str: "a string", int: "a whole number", Mapping: "an object"}


def read_list(record: Mapping[str, Any], key: str) -> list[Any]:
    """A value that is a list, or MessageError."""
    value = record[key]
    if not isinstance(value, list):
        raise MessageError(f"{key} of a message must be a list, found {shortened(value)}")
    return value


def shortened(value: Any) -> str:
    """A stranger's value for an error: its type where it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        text = ""
    return text if 0 < len(text) <= 60 else type(value).__name__
