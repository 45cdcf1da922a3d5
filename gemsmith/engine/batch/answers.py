"""Lines in, answer lines out, in order: asks the model for each, and lets no line's failure touch another's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gemsmith.chat.values import Message
from gemsmith.engine.batch import openai, request, strict
from gemsmith.engine.batch.inline import check_inline
from gemsmith.engine.batch.lines import MAX_LINE_BYTES, Line
from gemsmith.engine.batch.record import INTERNAL, Envelope, told
from gemsmith.engine.batch.request import Defaults
from gemsmith.errors import ModelFileError, RequestError


@dataclass(frozen=True)
class Answer:
    """One line's answer as bytes, and what became of it."""

    line: int
    data: bytes
    num_tokens: int = 0
    error: Exception | None = None
    model: str | None = None  # what the line calls its model

    @property
    def is_internal(self) -> bool:
        """Whether a bug of ours stood in the way."""
        return self.error is not None and told(self.error)[0] == INTERNAL


def answers(
    lines: Iterable[Line], model: Any, name: str, defaults: Defaults, heard: Callable[[], None] = lambda: None
) -> Iterator[Answer]:
    """An answer for every line, in order. `model` streams as `engine.Model` does; `heard` is called with every event.

    Raises ModelFileError alone: a model whose files are gone will answer no other line either.
    """
    for line in lines:
        yield answer(line, model, name, defaults, heard)


def answer(line: Line, model: Any, name: str, defaults: Defaults, heard: Callable[[], None]) -> Answer:
    """The answer to one line."""
    envelope = Envelope.of(line)
    try:
        value = parsed(line)
        envelope = Envelope.of(line, value)
        read = openai.read_request if envelope.is_openai else request.read_request
        wanted = read(value, line.number, defaults)
        check_inline(wanted.messages)
        message = ask(model, wanted, heard)
        num_tokens = message.usage.completion_tokens if message.usage else 0
        return Answer(line.number, envelope.answered(message, name), num_tokens, model=wanted.model)
    except ModelFileError:
        raise
    except Exception as error:
        return Answer(line.number, envelope.failed(error), error=error)


def parsed(line: Line) -> Any:
    """The JSON value of a line."""
    if line.data is None:
        raise RequestError(f"the line is longer than {MAX_LINE_BYTES >> 20} MiB; cut it into several")
    return strict.parse(line.data)


def ask(model: Any, wanted: request.Request, heard: Callable[[], None]) -> Message:
    """The model's reply."""
    message: Message | None = None
    for event in model.stream(wanted.messages, **wanted.options):
        heard()
        message = event.message or message
    assert message is not None, "a stream ended without its message"
    return message
