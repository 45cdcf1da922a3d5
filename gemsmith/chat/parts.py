"""Parts of a message as callers give them: text, media in many shapes (`media_parts.py`), or our own values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gemsmith.chat.media_parts import SHAPES, check_media, read_media
from gemsmith.chat.values import Media, Text
from gemsmith.errors import MessageError

Content = str | tuple[Text | Media, ...] | None


def read_content(content: Any, index: int) -> Content:
    """A message's content: a string, parts, or None. `index` is the message's, for errors."""
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, Mapping) or not isinstance(content, Sequence):
        raise MessageError(f"message {index}: content must be a string, parts or None, not {type(content).__name__}")
    return tuple(read_part(part, index) for part in content)


def read_part(part: Any, index: int) -> Text | Media:
    """One part of a content."""
    if isinstance(part, Media):
        check_media(part, f"message {index}")
        return part
    if isinstance(part, (str, Text)):
        part = {"type": "text", "text": part if isinstance(part, str) else part.text}
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    if kind == "text":
        if not isinstance(part.get("text"), str):
            raise MessageError(f"message {index}: a text part needs a string, got {type(part.get('text')).__name__}")
        return Text(part["text"])
    if not isinstance(part, Mapping) or not isinstance(kind, str) or kind not in SHAPES:
        raise MessageError(f"message {index}: unknown part type {kind!r}; use text, {', '.join(SHAPES)}")
    return read_media(part, kind, f"message {index}")


def read_result(content: Any, index: int) -> Any:
    """What a tool answered: parts as a tuple, everything else as the tool's own data, for the value grammar."""
    is_parts = isinstance(content, (list, tuple)) and all(
        isinstance(item, Text | Media) or (isinstance(item, Mapping) and "type" in item) for item in content
    )
    if is_parts:
        return tuple(read_part(item, index) for item in content)
    return list(content) if isinstance(content, tuple) else content
