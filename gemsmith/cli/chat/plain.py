"""Lines as a dumb terminal, a screen reader or a pipe gives them: nothing is drawn, and the cursor never moves back."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from gemsmith.cli.chat.history import History
from gemsmith.cli.output import MANNER, write

BLOCK = '"""'


class PlainEditor:
    """Reads prompts with `input()`; a backslash at the end, or three quotes around, make one of many lines."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._label = "you: " if MANNER.spoken else "> "
        with suppress(ImportError):
            import readline  # input() uses it once it is imported

            readline.set_auto_history(False)
            for entry in history.entries:
                if "\n" not in entry:
                    readline.add_history(entry)

    def read(self) -> str:
        """One prompt. EOFError where there are no more; KeyboardInterrupt for Ctrl-C."""
        try:
            text = join_lines(self._lines())
        except (EOFError, KeyboardInterrupt):
            write(sys.stdout if sys.stdout.isatty() else sys.stderr, "\n")
            raise
        if text:
            self._history.add(text)
            with suppress(ImportError):
                import readline

                readline.add_history(text.splitlines()[-1])
        return text

    def read_line(self, label: str) -> str:
        """A single line that is no prompt."""
        return _input(f"{label}: ")

    def _lines(self) -> Iterator[str]:
        yield _input(self._label)
        while True:
            yield _input("" if MANNER.spoken else ". ")


def _input(label: str) -> str:
    """A line typed. The label goes where it is seen and is no part of an answer."""
    if sys.stdin.isatty() and not sys.stdout.isatty():
        write(sys.stderr, label)
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return cleaned(line.removesuffix("\n"))
    return cleaned(input(label))


def join_lines(lines: Iterator[str]) -> str:
    """The first prompt in `lines`: one, or several that belong together and that Ctrl-D ends too."""
    said: list[str] = []
    with ended_by_eof(said):
        for line in lines:
            said.append(line)
            if said[0].lstrip().startswith(BLOCK):
                text = "\n".join(said).strip()
                if is_closed(text):
                    return unquoted(text)
            elif line.endswith("\\"):
                said[-1] = line[:-1]
            else:
                break
    return "\n".join(said).strip().removeprefix(BLOCK)


@contextmanager
def ended_by_eof(said: list[str]) -> Iterator[None]:
    """A block that the end of the input ends too, if anything was said in it."""
    try:
        yield
    except EOFError:
        if not said:
            raise


def is_closed(text: str) -> bool:
    """Whether a block of lines has ended."""
    return len(text.strip()) >= 2 * len(BLOCK) and text.rstrip().endswith(BLOCK)


def unquoted(text: str) -> str:
    """The text between three quotes, or the text."""
    text = text.strip()
    if text.startswith(BLOCK) and is_closed(text):
        return text[len(BLOCK) : -len(BLOCK)].strip("\n")
    return text


def cleaned(text: str) -> str:
    """Bytes that the terminal's encoding could not read become marks: half characters are nothing to ask with."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def is_dumb() -> bool:
    """Whether the terminal can only print lines, or there is none on one side."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return True
    return os.environ.get("TERM", "dumb") in ("dumb", "unknown", "")


def piped_lines() -> Iterator[str]:
    """Lines from a file or another program, as they come; blank ones are no prompts."""
    for line in iter(sys.stdin.readline, ""):
        if line.strip():
            yield line.strip()
