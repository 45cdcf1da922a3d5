"""A model without weights that the commands talk to, and stdin and stdout as pipes or terminals."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import gemsmith.engine
from gemsmith.chat.values import Event, Media, Message, Prompt, Text, Thought, Usage
from gemsmith.cli.main import main
from gemsmith.errors import MediaError, UnsupportedMediaError


class Letters:
    """A tokenizer whose tokens are letters."""

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def least_tokens(self, num_characters: int) -> int:
        """As the real one's, whose tokens are longer."""
        return num_characters // 31


@dataclass
class FakeModel:
    """Answers with the number of turns it was shown and the last one's text; notes what it was asked."""

    name = "fake"
    max_context = 1000
    tokenizer = Letters()
    generation = SimpleNamespace(do_sample=True)
    config = SimpleNamespace(text=SimpleNamespace(max_position_embeddings=4000))
    answer: Callable[[Sequence[Message]], Iterator[Event]] | None = None
    refusal: MediaError | UnsupportedMediaError | None = None  # of whatever is seen or heard
    rendered: list[tuple[tuple[Message, ...], dict[str, Any]]] = field(default_factory=list)
    loaded: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    asked: list[tuple[tuple[Message, ...], dict[str, Any]]] = field(default_factory=list)

    def load(self, source: str, **options: Any) -> FakeModel:
        self.loaded.append((source, options))
        return self

    def stream(self, messages: Sequence[Message], **options: Any) -> Iterator[Event]:
        self.asked.append((tuple(messages), options))
        if self.refusal is not None:
            self.render(messages)
        if self.answer is not None:
            return self.answer(messages)
        return reply(f"{len(messages)}: ", messages[-1].text, thought="hm" if options["think"] else "")

    def render(self, messages: Sequence[Message], **options: Any) -> Prompt:
        """A token a letter, and ten for whatever is seen or heard."""
        self.rendered.append((tuple(messages), options))
        media = [part for message in messages for part in message.parts if isinstance(part, Media)]
        if media and self.refusal is not None:
            error = copy(self.refusal)
            error.part = media[0]
            raise error
        soft = (0,) * 10 * len(media)
        return Prompt(soft + tuple(self.tokenizer.encode("".join(message.text for message in messages))))

    def stream_complete(self, text: str, **options: Any) -> Iterator[str]:
        self.asked.append(((Message("user", (Text(text),)),), options))
        yield from (" there", " was")


def reply(*pieces: str, thought: str = "", finish_reason: Any = "stop") -> Iterator[Event]:
    """The events of an answer that comes in `pieces`."""
    if thought:
        yield Event("thought", thought)
    for piece in pieces:
        yield Event("text", piece)
    parts = (Thought(thought),) * bool(thought) + (Text("".join(pieces)),)
    yield Event("done", message=Message("assistant", parts, Usage(1, 1), finish_reason))


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No test reads or writes what belongs to whoever runs it."""
    monkeypatch.setenv("GEMSMITH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    fake = FakeModel()
    monkeypatch.setattr(gemsmith.engine, "load", fake.load, raising=False)
    return fake


class Stream(io.StringIO):
    """A text stream that may claim to be a terminal."""

    def __init__(self, text: str = "", terminal: bool = False) -> None:
        super().__init__(text)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@dataclass
class Ended:
    """How a command line ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def gemsmith_(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """`gemsmith_("run", "pebble", stdin="…", terminal=True)` runs a command line in this process."""

    def call(*argv: str, stdin: str = "", terminal: bool = False) -> Ended:
        out, err = Stream(terminal=terminal), Stream(terminal=terminal)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", Stream(stdin, terminal))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            return Ended(main(argv), out.getvalue(), err.getvalue())

    return call
