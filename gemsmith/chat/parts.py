"""Parts of a message as callers give them: text and media in OpenAI's and Hugging Face's shapes, or our own values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gemsmith.chat.values import Audio, Image, Media, Text, Video
from gemsmith.errors import MessageError

Content = str | tuple[Text | Media, ...] | None
MEDIA_TYPES: dict[str, type[Image] | type[Audio] | type[Video]] = {
    "image": Image,
    "image_url": Image,
    "audio": Audio,
    "audio_url": Audio,
    "input_audio": Audio,
    "video": Video,
    "video_url": Video,
}


def read_content(content: Any, index: int) -> Content:
    """A message's content: a string, parts, or None. `index` is the message's, for errors."""
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, Mapping) or not isinstance(content, Sequence):
        raise MessageError(f"message {index}: content must be a string, parts or None, not {type(content).__name__}")
    return tuple(read_part(part, index) for part in content)


def read_part(part: Any, index: int) -> Text | Media:
    """One part of a content."""
    if isinstance(part, (Image, Audio, Video)):
        return part
    if isinstance(part, (str, Text)):
        part = {"type": "text", "text": part if isinstance(part, str) else part.text}
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    if kind == "text":
        if not isinstance(part.get("text"), str):
            raise MessageError(f"message {index}: a text part needs a string, got {type(part.get('text')).__name__}")
        return Text(part["text"])
    if not isinstance(kind, str) or kind not in MEDIA_TYPES:
        raise MessageError(f"message {index}: unknown part type {kind!r}; use text, {', '.join(MEDIA_TYPES)}")
    return MEDIA_TYPES[kind](_source(part, kind))


def _source(part: Mapping[str, Any], kind: str) -> Any:
    """The picture or sound itself, from the places where OpenAI and Hugging Face put it; None where there is none."""
    source = part.get(kind)
    if source is None:
        family = kind.removesuffix("_url").removeprefix("input_")
        source = next((part[key] for key in (family, "url", "path", "source", "data") if key in part), None)
    if isinstance(source, Mapping) and "url" in source:
        return source["url"]
    if isinstance(source, Mapping) and isinstance(source.get("data"), str):
        return f"data:audio/{source.get('format', 'wav')};base64,{source['data']}"
    return source


def read_result(content: Any, index: int) -> Any:
    """What a tool answered: parts as a tuple, everything else as the tool's own data, for the value grammar."""
    is_parts = isinstance(content, (list, tuple)) and all(
        isinstance(item, (Text, Image, Audio, Video)) or (isinstance(item, Mapping) and "type" in item)
        for item in content
    )
    if is_parts:
        return tuple(read_part(item, index) for item in content)
    return list(content) if isinstance(content, tuple) else content
