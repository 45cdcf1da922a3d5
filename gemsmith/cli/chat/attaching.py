"""/image, /pdf, /audio, /video and /drop: what goes with the next question, looked at as soon as it is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from gemsmith.cli.attachments import attached, num_tokens, path_typed
from gemsmith.cli.reading import name_of
from gemsmith.cli.senses import PAGES
from gemsmith.errors import RequestError

if TYPE_CHECKING:
    from gemsmith.cli.chat.commands import Desk


def attach(sense: str) -> Callable[[Desk, str], str]:
    """The command /image, or another sense's."""

    def do(desk: Desk, argument: str) -> str:
        if not argument:
            raise RequestError(f"say which: /{sense} PATH")
        typed, look = argument, desk.look
        if sense == "pdf":
            typed, pages = pages_apart(typed)
            look = replace(look, pages=pages or look.pages)
        attachment = attached(f"/{sense}", typed, look)
        try:
            with desk.chat.interruptible():
                count = num_tokens(desk.model, [attachment], look.settings)
        except KeyboardInterrupt:
            raise RequestError("stopped; nothing goes with your next question that did not before") from None
        desk.chat.media.append(attachment.part)
        return f"{name_of(attachment.part)}: {count:,} tokens; goes with your next question"

    return do


def pages_apart(argument: str) -> tuple[str, str | None]:
    """A path, and the pages after it, if there are any: `report.pdf 1-3,7`."""
    path, _, last = argument.rpartition(" ")
    if path and PAGES.fullmatch(last) and not path_typed(argument).exists():
        return path.rstrip(), last
    return argument, None


def drop(desk: Desk, argument: str) -> str:
    talk = desk.chat
    waiting: dict[int, str] = {id(part): name_of(part) for part in talk.media}
    waiting |= {id(text): text.partition("\n")[0].removeprefix("File: ") for text in talk.documents}
    if not waiting:
        return "nothing waits to go with your next question"
    wanted = path_typed(argument).name if argument else None
    gone = {key for key, name in waiting.items() if wanted in (None, name)}
    if not gone:
        raise RequestError(
            f"{argument!r} is not among what goes with your next question: {', '.join(waiting.values())}"
        )
    names = ", ".join(name for key, name in waiting.items() if key in gone)
    talk.media[:] = [part for part in talk.media if id(part) not in gone]
    talk.documents[:] = [text for text in talk.documents if id(text) not in gone]
    return f"dropped: {names}"
