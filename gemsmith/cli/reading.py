"""While what is seen and heard is decoded: patience, and errors and remarks in the words of the person who asked.

A model speaks of "picture 2", and of settings as Python has them: here these become `--image room.jpg` and
`--allow-urls`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gemsmith.chat.values import Audio, Document, Image, Media, Message, Video
from gemsmith.cli.documents import shown_name
from gemsmith.cli.output import PICTURES, note, patience
from gemsmith.errors import ContextLengthError, MediaError, RequestError, UnsupportedMediaError

NUMBERED = re.compile(r"(picture|document|sound|clip) (\d{1,6}): ")
KINDS: dict[str, type[Any]] = {"picture": Image, "document": Document, "sound": Audio, "clip": Video}
SAID = {
    "MediaSettings(allow_urls=True)": "--allow-urls",
    "(longer='cut')": "(--cut-audio)",
}
MOST_SHOWN, MOST_OF_DATA = 300, 40
LESS = {  # what takes fewer tokens
    Image: "a smaller --image-tokens",
    Document: "fewer --pages",
    Video: "fewer --frames",
    Audio: "less sound",
}
_told: set[tuple[Media, str]] = set()  # remarks: the lines of a pipe, and the turns of a chat, need each but once


@contextmanager
def attending(
    media: Sequence[Media], words: Mapping[Media, str] | None = None, *, is_first: bool = False
) -> Iterator[None]:
    """A block that decodes all media of a request, in this order; `words` is how some were asked for.

    What there is to remark of a part is told once, and again where it `is_first` looked at: somebody gave it anew.
    """
    if not media:
        yield
        return
    caught: list[warnings.WarningMessage] = []
    try:
        with patience(reading(media)), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            yield
    except RequestError as error:
        part = getattr(error, "part", None)
        if part is None and len(media) == 1 and isinstance(error, (MediaError, UnsupportedMediaError)):
            part = media[0]
        if isinstance(error, ContextLengthError):
            error.args = (f"{error}, or give {less(media)}",)
        elif isinstance(part, Media) and isinstance(error, MediaError) and is_gone(part) and part not in (words or {}):
            error.args = (gone(part),)
        else:
            error.args = (in_words(str(error), media, words or {}, part),)
        raise
    finally:
        for each in caught:
            _tell(each, media, words or {}, is_first)


def _tell(warning: warnings.WarningMessage, media: Sequence[Media], words: Mapping[Media, str], is_first: bool) -> None:
    said = str(warning.message)
    part = part_of(said, media)
    if part is None:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        return
    key = (part, said.partition(": ")[2])
    if is_first or key not in _told:
        _told.add(key)
        note(in_words(said, media, words))


def part_of(text: str, media: Sequence[Media]) -> Media | None:
    """The part that "picture 2: …" speaks of."""
    if not (numbered := NUMBERED.match(text)):
        return None
    alike = [each for each in media if isinstance(each, KINDS[numbered[1]])]
    number = int(numbered[2])
    return alike[number - 1] if 0 < number <= len(alike) else None


def less(media: Sequence[Media]) -> str:
    """What would take less of the context: "fewer --pages, or a smaller --image-tokens"."""
    ways = [LESS[kind] for kind in LESS if any(isinstance(part, kind) for part in media)]
    if LESS[Document] in ways and LESS[Image] not in ways:
        ways.append(LESS[Image])
    return ", or ".join(ways)


def is_gone(part: Media) -> bool:
    """Whether a part is of a file that is no longer there."""
    return isinstance(part.source, Path) and not part.source.exists()


def gone(part: Media) -> str:
    """What to say where a conversation shows a file that is gone."""
    kind = next(kind for kind, each in KINDS.items() if isinstance(part, each))
    return (
        f"{kind} {shown(str(part.source).translate(PICTURES))}: the conversation shows it, and it is no longer there;"
        " put it back, or begin another conversation"
    )


def in_words(text: str, media: Sequence[Media], words: Mapping[Media, str], part: Any = None) -> str:
    """What a model says of a part of its request, in the words of whoever gave that."""
    part = part_of(text, media) if part is None else part
    if part is None:
        return text
    for said, here in SAID.items():
        text = text.replace(said, here)
    if words.get(part, "").startswith("/"):
        text = text.replace("(--cut-audio)", "(in a chat begun with --cut-audio)")
    return f"{words.get(part) or named(part)}: {NUMBERED.sub('', text, count=1)}"


def named(part: Media) -> str:
    """A part without words of its own: what it is, and its file."""
    kind = next(kind for kind, each in KINDS.items() if isinstance(part, each))
    return f"{kind} {name_of(part)}"


def name_of(part: Media) -> str:
    """A part's short name: the file's."""
    return shown_name(part.source) if isinstance(part.source, Path) else shown(str(part.source))


def shown(typed: str) -> str:
    """What was typed, cut to what a line bears: a data: URL has megabytes."""
    if not typed:
        return "''"
    most = MOST_OF_DATA if typed[:5].lower() == "data:" else MOST_SHOWN
    return typed if len(typed) <= most else f"{typed[: most - 1]}…"


def reading(media: Sequence[Media]) -> str:
    """What to say while media are decoded and looked at."""
    return f"reading {name_of(media[0])}" if len(media) == 1 else f"reading {len(media)} files"


def media_of(messages: Sequence[Message]) -> list[Media]:
    """The media of a conversation, in order."""
    return [part for message in messages for part in message.parts if isinstance(part, Media)]
