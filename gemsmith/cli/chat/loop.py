"""The loops of a chat: with a person at a terminal, and over the lines of a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Protocol

from gemsmith.chat.values import Media
from gemsmith.cli.attachments import NOUNS, is_path_of_media
from gemsmith.cli.chat.commands import Desk, Leave, is_command, run_command
from gemsmith.cli.chat.interrupts import Interrupts
from gemsmith.cli.chat.plain import piped_lines
from gemsmith.cli.chat.talk import Talk
from gemsmith.cli.documents import shown_name
from gemsmith.cli.output import note, wrapped, write
from gemsmith.errors import GemsmithError, RequestError


class Editor(Protocol):
    """Where lines are typed."""

    def read(self) -> str:
        """One prompt; EOFError and KeyboardInterrupt for Ctrl-D and Ctrl-C."""

    def read_line(self, label: str) -> str:
        """A line that is no prompt."""


class Asks(Protocol):
    """What answers lines."""

    def ask(self, text: str, media: Sequence[Media] = ()) -> None:
        """Print the answer."""

    def clear(self) -> None:
        """Begin anew."""


def converse(desk: Desk, editor: Editor, interrupts: Interrupts) -> int:
    """Answer what a person types until they leave. No mistake of theirs, and no Ctrl-C, ends it."""
    with interrupts.installed():
        while True:
            try:
                with interrupts.allowed():
                    line = editor.read()
                if line:
                    answer(desk, line)
            except KeyboardInterrupt:
                note("/bye or Ctrl-D leaves")
            except (EOFError, Leave):
                return 0


def answer(desk: Desk, line: str) -> None:
    """Do a command, or ask the model. Whatever goes wrong is told in a line."""
    try:
        if is_command(line):
            if told := run_command(desk, line):
                say(told)
        elif isinstance(desk.talk, Talk) and (hint := path_alone(line)):
            note(hint)
        else:
            desk.talk.ask(line[1:] if line.startswith("//") else line)
    except KeyboardInterrupt:
        note(stopped(desk))
    except GemsmithError as error:
        write(sys.stderr, wrapped(f"error: {error}", sys.stderr) + "\n")


def path_alone(line: str) -> str:
    """What to say to a line that is nothing but the path of a picture, PDF, sound or clip; nothing for other lines."""
    if not (found := is_path_of_media(line)):
        return ""
    sense, path = found
    return f"{shown_name(path)} is a {NOUNS[sense]}: /{sense} {line.strip()} puts it before your next question"


def stopped(desk: Desk) -> str:
    """What became of an answer that was stopped."""
    if not isinstance(desk.talk, Talk):
        return "stopped"
    messages = desk.talk.conversation.messages
    if messages and messages[-1].role == "assistant" and messages[-1].finish_reason is None:
        return "stopped; what was said so far is kept"
    return "stopped before a word was said; /retry asks again"


def say(told: str) -> None:
    """What a command answers: one line is a note, several are a list."""
    if "\n" in told:
        write(sys.stderr, told + "\n")
    else:
        note(told)


def answer_lines(talk: Asks, tell: Callable[[Exception], None], before: str = "", media: Sequence[Media] = ()) -> int:
    """Answer every line of a pipe alone, so that no answer depends on the lines before it; the exit code.

    `media` and `before` stand before each. One that fails is told and skipped; the exit code then is 1.
    """
    failed = False
    for line in piped_lines():
        talk.clear()
        try:
            talk.ask(before + line, media)
        except RequestError as error:
            failed = True
            tell(error)
    return int(failed)
