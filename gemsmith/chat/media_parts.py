"""Pictures, documents, sounds and clips as callers give them in a message, read into our values and checked.

OpenAI's shapes: `image_url` (with `detail`), `input_audio`, `file` (a PDF's bytes), and what servers added, `audio_url`
and `video_url`. Hugging Face's: {"type": "image", "image" | "url" | "path" | "base64": …}, likewise audio and video.
In any of them the options of `Image`, `Document`, `Audio` and `Video` may stand beside the source, under their own
names. What nobody knows is an error: an option that is passed over in silence would change the answer unseen. Nothing
is opened here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from gemsmith.chat.values import Audio, Document, Image, Media, Video
from gemsmith.errors import MessageError

SHAPES: dict[str, type[Media]] = {
    "image": Image,
    "image_url": Image,
    "audio": Audio,
    "audio_url": Audio,
    "input_audio": Audio,
    "video": Video,
    "video_url": Video,
    "document": Document,
    "file": Document,
}
SOURCES = ("url", "path", "base64", "source", "data")
DETAILS = {"auto": None, "low": 70, "high": 1120}  # the smallest and the largest budget there is
# OpenAI's name for how closely to look; `is_bytes` is how a saved conversation remembers that a source was bytes
BASE64 = "data:application/octet-stream;base64,"
PDF = "data:application/pdf;base64,"


def read_media(part: Mapping[str, Any], kind: str, where: str) -> Media:
    """The media of a part whose type is one of SHAPES; `where` begins every error. Absent is None."""
    given = {key: value for key, value in part.items() if value is not None and key not in ("type", "is_bytes")}
    source, options = _source(given, kind, where)
    media = SHAPES[kind]
    names = option_names(media)
    unknown = next((key for key in options if key not in names and not (media is Image and key == "detail")), None)
    if unknown is not None:
        raise MessageError(
            f"{where}: a part of type {kind} has no option {unknown!r:.60}; known are {', '.join(names)}"
        )
    if "detail" in options:
        _translate_detail(options, where)
    if isinstance(options.get("pages"), list):
        options["pages"] = tuple(options["pages"])
    read = media(source, **options)
    check_media(read, where)
    return read


def option_names(media: type[Media]) -> tuple[str, ...]:
    """What a part of this kind may say beside its source."""
    return tuple(each.name for each in fields(media) if each.default is not MISSING)


def _source(given: dict[str, Any], kind: str, where: str) -> tuple[Any, dict[str, Any]]:
    """The picture or sound itself, None where there is none, and what else the part says."""
    family = kind.removesuffix("_url").removeprefix("input_")
    places = [key for key in dict.fromkeys((kind, family, *SOURCES)) if key in given]
    if len(places) > 1:
        raise MessageError(f"{where}: a part of type {kind} names its source twice ({', '.join(places)}); keep one")
    source = given.pop(places[0]) if places else None
    if places == ["base64"] and isinstance(source, str):
        return BASE64 + source, given
    if not isinstance(source, Mapping):
        return source, given
    return _unwrapped({key: value for key, value in source.items() if value is not None}, given, kind, where)


def _unwrapped(inner: dict[str, Any], given: dict[str, Any], kind: str, where: str) -> tuple[Any, dict[str, Any]]:
    """OpenAI's objects: {"url", "detail"}, {"data", "format"}, {"file_data", "filename"}."""
    if kind == "file":
        inner.pop("filename", None)
        source = _inline(inner.pop("file_data", None), PDF)
        if inner or source is None:
            raise MessageError(
                f"{where}: a file is read from its file_data, a data: URL of a PDF; nothing is stored here"
            )
    elif isinstance(inner.get("data"), str):
        form = inner.pop("format", "wav")
        if not isinstance(form, str):
            raise MessageError(f"{where}: the format of a sound is a string such as 'wav', not {type(form).__name__}")
        source = _inline(inner.pop("data"), f"data:audio/{form};base64,")
    elif "url" in inner:
        source = inner.pop("url")
    else:
        raise MessageError(f"{where}: a part of type {kind} gives an object without url; give a path, a URL or bytes")
    if twice := inner.keys() & given.keys():
        raise MessageError(f"{where}: a part of type {kind} says {min(twice)!r:.60} twice; keep one")
    return source, given | inner


def _inline(data: Any, head: str) -> Any:
    """Base64 as a data: URL, which some callers have already made of it."""
    return data if not isinstance(data, str) or data[:5].lower() == "data:" else head + data


def _translate_detail(options: dict[str, Any], where: str) -> None:
    detail = options.pop("detail")
    if not isinstance(detail, str) or detail not in DETAILS:
        raise MessageError(f"{where}: detail is one of {', '.join(DETAILS)}, found {detail!r:.60}")
    if DETAILS[detail] is not None and "tokens" in options:
        raise MessageError(f"{where}: a picture has either detail or tokens, its budget itself; keep one")
    options.setdefault("tokens", DETAILS[detail])


def check_media(part: Media, where: str) -> None:
    """MessageError for an option of the wrong type, or that nothing could satisfy."""
    for name in option_names(type(part)):
        value = getattr(part, name)
        is_fine, wanted = _CHECKS[name]
        if not is_fine(value):
            raise MessageError(f"{where}: {name} must be {wanted}, found {value!r:.60}")
    if isinstance(part, Video) and part.frames is not None and part.fps is not None:
        raise MessageError(f"{where}: a clip has either frames, their count, or fps; keep one")


def _is_count(value: Any) -> bool:
    return type(value) is int and 1 <= value < 1 << 31


def _is_rate(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, (int, float)) and value > 0 and math.isfinite(value)


def _are_pages(value: Any) -> bool:
    return (isinstance(value, str) and value != "") or (
        isinstance(value, tuple) and value != () and all(map(_is_count, value))
    )


_CHECKS: dict[str, tuple[Any, str]] = {
    "tokens": (lambda value: value is None or _is_count(value), "a count of tokens"),
    "frames": (lambda value: value is None or _is_count(value), "a count of frames"),
    "fps": (lambda value: value is None or _is_rate(value), "frames a second, a number above 0"),
    "pages": (lambda value: value is None or _are_pages(value), "page numbers from 1, as in '1-3,7' or (1, 2, 3, 7)"),
    "longer": (lambda value: value in ("refuse", "cut"), "'refuse' or 'cut'"),
    "sound": (lambda value: isinstance(value, bool), "true or false"),
}
