"""A conversation line by line: from a person at a terminal, or from a pipe with one prompt a line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Protocol

from gemsmith.chat.values import Event, Message, Text
from gemsmith.cli.output import Page, note, show_pieces, show_reply, write
from gemsmith.errors import ContextLengthError, RequestError

Stream = Callable[[list[Message]], Iterable[Event]]
Complete = Callable[[str], Iterable[str]]

HELP = """\
/clear   forget the conversation so far
/help    this list
/bye     leave (so does Ctrl-D)
Ctrl-C   stop the answer"""


class Talk(Protocol):
    """What answers lines."""

    def answer(self, line: str) -> None:
        """Print the reply to `line`."""

    def forget(self) -> None:
        """Begin anew."""


def chat(talk: Talk) -> int:
    """Answer every line of stdin; return the exit code.

    From a terminal the lines are turns of one conversation. From a pipe each is a prompt of its own, so that its answer
    does not depend on the lines before it. One that fails is told and skipped; from a pipe, the exit code then is 1.
    """
    at_terminal = sys.stdin.isatty()
    failed = False
    if at_terminal:
        note("/help lists the commands, /bye leaves")
    for line in typed_lines() if at_terminal else piped_lines():
        if at_terminal and line.startswith("/"):
            if line == "/bye":
                break
            command(talk, line)
            continue
        if not at_terminal:
            talk.forget()
        try:
            talk.answer(line)
        except RequestError as error:
            failed = True
            write(sys.stderr, f"gemsmith: error: {error}\n")
        except KeyboardInterrupt:
            if not at_terminal:
                raise
            note("stopped")
    return int(failed and not at_terminal)


def command(talk: Talk, line: str) -> None:
    """Do what a line that begins with a slash asks for."""
    if line == "/clear":
        talk.forget()
        note("forgotten")
    else:
        print(HELP if line == "/help" else f"no command {line}\n{HELP}", file=sys.stderr)


class Continuations:
    """Raw text: every line is continued as it stands, and nothing is remembered."""

    def __init__(self, complete: Complete) -> None:
        self._complete = complete

    def answer(self, line: str) -> None:
        """Print what follows `line`."""
        show_pieces(self._complete(line))

    def forget(self) -> None:
        """There is nothing to forget."""


class Conversation:
    """The turns so far. When they no longer fit the model's context, the oldest are forgotten, and the user is told."""

    def __init__(self, stream: Stream, system: str | None = None) -> None:
        self._stream = stream
        self._system = [] if system is None else [Message("system", (Text(system),))]
        self.turns: list[Message] = []  # user, assistant, user, assistant …

    def answer(self, line: str) -> None:
        """Print the reply to `line`, and remember both."""
        question = Message("user", (Text(line),))
        while True:
            try:
                self._reply(question)
                return
            except ContextLengthError:
                if not self.turns:
                    raise
                del self.turns[:2]
                note("the conversation no longer fits: forgot the oldest question and its answer")

    def forget(self) -> None:
        """Begin anew; the system's words stay."""
        self.turns.clear()

    def _reply(self, question: Message) -> None:
        page = Page()
        try:
            message = show_reply(self._stream([*self._system, *self.turns, question]), page)
        except KeyboardInterrupt:
            if page.said:
                self.turns += [question, Message("assistant", (Text(page.said),))]
            raise
        self.turns += [question, message or Message("assistant", (Text(page.said),))]


def typed_lines() -> Iterator[str]:
    """Lines from a person, who may edit them and call earlier ones back; ends with Ctrl-D."""
    with suppress(ImportError):
        import readline  # noqa: F401  - input() uses it once it is imported
    while True:
        try:
            line = input("> " if sys.stdout.isatty() else "").strip()
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            print()
            note("/bye or Ctrl-D leaves")
            continue
        if line:
            yield line


def piped_lines() -> Iterator[str]:
    """Lines from a file or another program, as they come; blank ones are no prompts."""
    for line in iter(sys.stdin.readline, ""):
        if line.strip():
            yield line.strip()
