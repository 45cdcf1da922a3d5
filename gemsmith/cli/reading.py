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
from gemsmith.cli.output import note, patience
from gemsmith.errors import MediaError, RequestError, UnsupportedMediaError

NUMBERED = re.compile(r"(picture|document|sound|clip) (\d{1,6}): ")
KINDS: dict[str, type[Any]] = {"picture": Image, "document": Document, "sound": Audio, "clip": Video}
SAID = {
    "MediaSettings(allow_urls=True)": "--allow-urls",
    "(longer='cut')": "(--cut-audio)",
}
MOST_SHOWN, MOST_OF_DATA = 300, 40
_told: set[str] = set()  # remarks: the lines of a pipe, and the turns of a chat, need each but once


@contextmanager
def attending(media: Sequence[Media], words: Mapping[Media, str] | None = None) -> Iterator[None]:
    """A block that decodes all media of a request, in this order; `words` is how some were asked for."""
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
        error.args = (in_words(str(error), media, words or {}, part),)
        raise
    finally:
        for each in caught:
            _tell(each, media, words or {})


def _tell(warning: warnings.WarningMessage, media: Sequence[Media], words: Mapping[Media, str]) -> None:
    if not NUMBERED.match(str(warning.message)):
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        return
    text = in_words(str(warning.message), media, words)
    if text not in _told:
        _told.add(text)
        note(text)


def in_words(text: str, media: Sequence[Media], words: Mapping[Media, str], part: Any = None) -> str:
    """What a model says of a part of its request, in the words of whoever gave that."""
    numbered = NUMBERED.match(text)
    if part is None and numbered:
        alike = [each for each in media if isinstance(each, KINDS[numbered[1]])]
        number = int(numbered[2])
        part = alike[number - 1] if 0 < number <= len(alike) else None
    if part is None:
        return text
    for said, here in SAID.items():
        text = text.replace(said, here)
    return f"{words.get(part) or named(part)}: {text[numbered.end() if numbered else 0 :]}"


def named(part: Media) -> str:
    """A part without words of its own: what it is, and its file."""
    kind = next(kind for kind, each in KINDS.items() if isinstance(part, each))
    return f"{kind} {name_of(part)}"


def name_of(part: Media) -> str:
    """A part's short name: the file's."""
    return shown_name(part.source) if isinstance(part.source, Path) else shown(str(part.source))


def shown(typed: str) -> str:
    """What was typed, cut to what a line bears: a data: URL has megabytes."""
    most = MOST_OF_DATA if typed[:5].lower() == "data:" else MOST_SHOWN
    return typed if len(typed) <= most else f"{typed[: most - 1]}…"


def reading(media: Sequence[Media]) -> str:
    """What to say while media are decoded and looked at."""
    return f"reading {name_of(media[0])}" if len(media) == 1 else f"reading {len(media)} files"


def media_of(messages: Sequence[Message]) -> list[Media]:
    """The media of a conversation, in order."""
    return [part for message in messages for part in message.parts if isinstance(part, Media)]
