"""What an item of a request is called where it fails or something is to be said of it: "picture 2", never its path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from gemsmith.chat.values import Audio, Document, Image, Media, Video
from gemsmith.errors import MediaError, RequestError, UnsupportedMediaError

NAMES: dict[type[Media], str] = {Image: "picture", Document: "document", Audio: "sound", Video: "clip"}


def named(media: Iterable[Media]) -> list[tuple[str, Media]]:
    """The media of a request in order, each with its kind and its number among those of its kind."""
    seen: Counter[str] = Counter()
    out = []
    for part in media:
        kind = NAMES[type(part)]
        seen[kind] += 1
        out.append((f"{kind} {seen[kind]}", part))
    return out


@contextmanager
def blaming(name: str, part: Media) -> Iterator[None]:
    """Errors from within begin with the item's name, and carry the item."""
    try:
        yield
    except RequestError as error:
        error.args = (f"{name}: {error}",)
        if isinstance(error, (MediaError, UnsupportedMediaError)):
            error.part = part
        raise
