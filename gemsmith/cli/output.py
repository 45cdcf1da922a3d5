"""What a reply looks like in a terminal, in a pipe, and to a screen reader.

Answers go to stdout. Thoughts, notes and reasons go to stderr: dimmed where that is a terminal, labelled where it is
not, or where NO_COLOR is set. The terminal wraps answers itself, so that they flow anew when its window changes, and
copy as they were written; notes are wrapped here, between words.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from gemsmith.chat.values import Event, Message, ToolCall

DIM, PLAIN = "\x1b[2m", "\x1b[0m"

# A model's text must not move the cursor, rename the window or press keys, so controls become pictures of themselves.
C0 = {i: 0x2400 + i for i in range(32) if chr(i) not in "\t\n"}
C1 = dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
PICTURES = C0 | C1 | {0x7F: 0x2421}


def show_reply(events: Iterable[Event], page: Page) -> Message | None:
    """Print a reply as it comes; return the whole message, or None where the stream broke off.

    However it ends, the cursor is left at the start of a line, and `page.said` has the words that were shown.
    """
    message: Message | None = None
    try:
        for event in events:
            if event.kind == "text":
                page.answer(event.text)
            elif event.kind == "thought":
                page.thought(event.text)
            elif event.kind == "tool_call" and event.tool_call is not None:
                page.line(spelled(event.tool_call))
            elif event.kind == "error":
                page.answer(event.text)
                note(f"that is not a tool call gemsmith can read: {event.reason}")
            elif event.kind == "done":
                message = event.message
    finally:
        page.end()
    if message is not None and message.finish_reason == "length":
        note("the answer was cut: out of tokens (--max-tokens), or out of context (--max-context)")
    return message


def show_pieces(pieces: Iterable[str]) -> None:
    """Print a raw continuation as it comes."""
    page = Page()
    try:
        for piece in pieces:
            page.answer(piece)
    finally:
        page.end()


class Page:
    """Where the cursor stands: inside a thought, inside an answer, or at the start of a line."""

    def __init__(self) -> None:
        self.said = ""
        self._thinking = False
        self._dim = colours(sys.stderr)
        self._label = "answer: " if MANNER.spoken and sys.stdout.isatty() else ""

    def answer(self, text: str) -> None:
        """Write words of the answer."""
        if text:
            self._end_thought()
            if self._label:
                write(sys.stderr, self._label)
                self._label = ""
            self.said += text
            write(sys.stdout, text)

    def line(self, text: str) -> None:
        """Write something that stands on a line of its own."""
        self._end_thought()
        start = "\n" if self.said and not self.said.endswith("\n") else ""
        self.answer(f"{start}{text}\n")

    def thought(self, text: str) -> None:
        """Write words of a thought."""
        if not text:
            return
        if not self._thinking:
            self._thinking = True
            sys.stdout.flush()
            sys.stderr.write(DIM if self._dim else "thought: ")
        write(sys.stderr, text)

    def end(self) -> None:
        """Leave the cursor at the start of a line."""
        self._end_thought()
        if not self.said.endswith("\n"):
            write(sys.stdout, "\n")

    def _end_thought(self) -> None:
        if self._thinking:
            self._thinking = False
            write(sys.stderr, "\n")
            sys.stderr.write(PLAIN if self._dim else "")
            sys.stderr.flush()


def write(stream: TextIO, text: str) -> None:
    """Write at once; to a terminal, harmlessly."""
    stream.write(text.translate(PICTURES) if stream.isatty() else text)
    stream.flush()


def note(text: str) -> None:
    """Tell the person something that is no part of the answer."""
    sys.stdout.flush()
    before, after = (DIM, PLAIN) if colours(sys.stderr) else ("", "")
    sys.stderr.write(before)
    write(sys.stderr, wrapped(f"note: {text}" if MANNER.spoken else f"({text})", sys.stderr))
    print(after, file=sys.stderr, flush=True)


def wrapped(text: str, stream: TextIO) -> str:
    """The text with lines broken between words where `stream` is a terminal, and as it is where it is none."""
    if not stream.isatty():
        return text
    width = max(shutil.get_terminal_size().columns - 1, 20)
    lines = text.translate(PICTURES).splitlines()
    return "\n".join(textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False) for line in lines)


def colours(stream: TextIO) -> bool:
    """Whether `stream` shows ANSI styles and the user wants them (no-color.org, force-color.org)."""
    if os.environ.get("NO_COLOR") or MANNER.spoken:
        return False
    if os.environ.get("FORCE_COLOR", "0") != "0":
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


class Manner:
    """How this program speaks: `spoken` puts labels where there are styles, and never moves the cursor."""

    spoken = False


MANNER = Manner()


@contextmanager
def manner(*, spoken: bool) -> Iterator[None]:
    """Speak in this manner for a while."""
    before, MANNER.spoken = MANNER.spoken, spoken
    try:
        yield
    finally:
        MANNER.spoken = before


def spelled(call: ToolCall) -> str:
    """A tool call as a line of text."""
    return f"tool call: {call.name}({json.dumps(call.arguments, ensure_ascii=False, default=str)})"


@contextmanager
def patience(text: str, after_s: float = 2.0) -> Iterator[None]:
    """Say `text` on a terminal if the block takes longer than `after_s`, and take it back at the end."""
    if not sys.stderr.isatty() or MANNER.spoken:
        yield
        return
    said: list[str] = []

    def say() -> None:
        said.append(text)
        write(sys.stderr, f"{text} ...")

    timer = threading.Timer(after_s, say)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if said:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
