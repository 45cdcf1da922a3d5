"""What a reply has said so far, and when: for the figures, and for an answer that is stopped halfway."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any

from gemsmith.chat.values import Event, Malformed, Message, Part, Text, Thought

WORDS: dict[str, type[Any]] = {"text": Text, "thought": Thought, "error": Malformed}


@dataclass(frozen=True)
class Figures:
    """What one answer took: seconds to its first word and in all, and tokens."""

    first_s: float
    total_s: float
    prompt_tokens: int
    completion_tokens: int

    @property
    def tokens_per_s(self) -> float | None:
        """How fast it was written, once the prompt was read; None where one token is all there was."""
        seconds = self.total_s - self.first_s
        return (self.completion_tokens - 1) / seconds if self.completion_tokens > 1 and seconds > 0 else None


class Heard:
    """Asks for a reply, passes its events on, and remembers them. However it ends, the model then is at rest."""

    def __init__(
        self,
        ask: Callable[[], Iterable[Event]],
        clock: Callable[[], float] = time.perf_counter,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """`waiting` is around what comes before the first event."""
        self.started_s = clock()
        with waiting():
            self._events = iter(ask())
        self._clock, self._waiting = clock, waiting
        self._said: list[Event] = []
        self.first_s = self.total_s = 0.0
        self.message: Message | None = None

    def __iter__(self) -> Iterator[Event]:
        try:
            with self._waiting():
                first = next(self._events, None)
            for event in chain(() if first is None else (first,), self._events):
                self._hear(event)
                yield event
        finally:
            if close := getattr(self._events, "close", None):
                close()

    def _hear(self, event: Event) -> None:
        self.total_s = self._clock() - self.started_s
        self.first_s = self.first_s or self.total_s
        if event.kind in WORDS:
            self._said.append(event)
        self.message = event.message or self.message

    def so_far(self) -> Message | None:
        """The words of an answer that was stopped, without `finish_reason`; None if there were none."""
        parts: list[Part] = []
        for kind, events in groupby(self._said, key=lambda event: event.kind):
            if kind == "error":
                parts += [Malformed(event.text, event.reason or "") for event in events]
            else:
                parts.append(WORDS[kind]("".join(event.text for event in events)))
        message = Message("assistant", tuple(parts))
        return message if message.text.strip() else None

    def figures(self) -> Figures | None:
        """What the whole answer took; None for one that was stopped."""
        usage = self.message.usage if self.message else None
        if usage is None:
            return None
        return Figures(self.first_s, self.total_s, usage.prompt_tokens, usage.completion_tokens)
