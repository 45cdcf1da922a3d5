"""The media of a line must be in the line: as data: URLs, and nowhere else.

A file of requests may come from somebody else. A path in it would make whoever runs it read their own files into the
answers, and an address would make their machine fetch what it names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gemsmith.chat.messages import read_turns
from gemsmith.chat.values import Media
from gemsmith.engine.senses.names import blaming, named
from gemsmith.errors import MediaError

ELSEWHERE = (
    "a line of a batch holds its media itself, as data: URLs such as data:image/png;base64,…; paths and addresses are"
    " not followed"
)


def check_inline(messages: Sequence[Any]) -> None:
    """MediaError for the first picture, document, sound or clip that is named by a path or an address."""
    for name, part in named(_media(messages)):
        source = part.source
        is_inline = isinstance(source, bytes) or (isinstance(source, str) and source[:5].lower() == "data:")
        with blaming(name, part):
            if not is_inline:
                raise MediaError("media_refused", ELSEWHERE)


def _media(messages: Sequence[Any]) -> Iterator[Media]:
    for turn in read_turns(messages) if messages else ():
        for content in (turn.content, *(result.content for result in turn.results)):
            if isinstance(content, tuple):
                yield from (part for part in content if isinstance(part, Media))
