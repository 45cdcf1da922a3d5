"""How far a batch is: a bar on a terminal, a plain line every ten seconds elsewhere, and a summary at the end."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol

from gemsmith.cli.output import MANNER, colours, write
from gemsmith.engine.batch.answers import Answer
from gemsmith.hub.report import duration

INTERVAL_S = 10.0


@dataclass
class Tally:
    """What was done, in this run and before it."""

    total: int | None = None  # lines of the input; None for a pipe
    before: int = 0  # lines that an earlier run has answered
    done: int = 0  # lines, those of earlier runs among them
    errors: int = 0
    internal: int = 0  # errors that are bugs of ours
    num_tokens: int = 0  # of whole answers of this run
    num_heard: int = 0  # events of the answer that is being written: about as many tokens
    others: Counter[str] = field(default_factory=Counter)  # other models that lines named
    start_s: float = field(default_factory=time.monotonic)

    def add(self, answer: Answer, model: str) -> None:
        """Count an answer."""
        self.done += 1
        self.errors += answer.error is not None
        self.internal += answer.is_internal
        self.num_tokens += answer.num_tokens
        self.num_heard = 0
        if answer.model not in (None, model):
            self.others[str(answer.model)] += 1

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.start_s

    @property
    def tokens_per_s(self) -> float:
        return (self.num_tokens + self.num_heard) / max(self.elapsed_s, 1e-9)

    @property
    def left_s(self) -> float | None:
        """About how long the rest takes, if it is like what was done."""
        now = self.done - self.before
        return (self.total - self.done) * self.elapsed_s / now if self.total is not None and now else None


class Progress(Protocol):
    """Whom a batch tells how far it is."""

    def moved(self) -> None:
        """The tally has changed."""

    def say(self, text: str) -> None:
        """Say something that stands on lines of its own."""

    def close(self) -> None:
        """It ends, one way or the other."""


def progress(tally: Tally) -> Progress:
    """The progress that stderr can show. A bar beside answers on the same terminal would tear them apart."""
    from gemsmith.cli.fetching import can_move

    return Bar(tally) if sys.stderr.isatty() and can_move() and not MANNER.spoken else Ticker(tally)


class Ticker:
    """Plain lines, for pipes, logs and screen readers."""

    def __init__(self, tally: Tally, interval_s: float = INTERVAL_S) -> None:
        self._tally, self._interval_s = tally, interval_s
        self._said_s = time.monotonic()

    def moved(self) -> None:
        """Say how far it is, if that was not just said."""
        if time.monotonic() - self._said_s >= self._interval_s:
            self._said_s = time.monotonic()
            self.say(", ".join(figures(self._tally)))

    def say(self, text: str) -> None:
        """A line."""
        write(sys.stderr, f"{text}\n")

    def close(self) -> None:
        """Nothing is left to do."""


class Bar:
    """One line that is drawn anew."""

    def __init__(self, tally: Tally) -> None:
        from rich.console import Console

        self._tally = tally
        console = Console(stderr=True, no_color=not colours(sys.stderr), highlight=False, soft_wrap=True)
        self._progress = bar(console, tally)
        self._task = self._progress.add_task("", total=tally.total, completed=tally.done)
        self._progress.start()

    def moved(self) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=self._tally.done)

    def say(self, text: str) -> None:
        """Say it above the bar."""
        from rich.text import Text

        from gemsmith.cli.output import PICTURES

        self._progress.console.print(Text(text.translate(PICTURES)))

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._progress.stop()


def bar(console: Any, tally: Tally) -> Any:
    """The bar, as wide as its figures leave room for, and three columns for the ^C that a terminal echoes."""
    from rich.constrain import Constrain
    from rich.progress import BarColumn, ProgressColumn, Task
    from rich.progress import Progress as RichProgress
    from rich.table import Column
    from rich.text import Text

    class Figures(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(", ".join(figures(tally)))

    class Columns(RichProgress):
        def get_renderable(self) -> Constrain:
            return Constrain(super().get_renderable(), max(console.width - 3, 20))

    return Columns(
        BarColumn(bar_width=None, table_column=Column(ratio=1)),
        Figures(table_column=Column(no_wrap=True)),
        console=console,
        expand=True,
        refresh_per_second=4,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def figures(tally: Tally) -> list[str]:
    """12 of 1,000 lines, 3 errors, 45 tokens/s, 2 min 3 s left."""
    done = f"{tally.done:,} lines" if tally.total is None else f"{tally.done:,} of {lines(tally.total)}"
    errors = [f"{tally.errors:,} error{'s' * (tally.errors != 1)}"] if tally.errors else []
    left = [f"{duration(tally.left_s)} left"] if tally.left_s is not None and tally.done != tally.total else []
    return [done, *errors, speed(tally), *left]


def summary(tally: Tally, out: str) -> str:
    """What was done, in one sentence or two."""
    before = f" ({tally.before:,} of them before)" if tally.before else ""
    parts = [f"{lines(tally.done)}{before}", f"{tally.errors:,} failed" if tally.errors else "none failed"]
    parts += [f"{tally.num_tokens:,} tokens", speed(tally), duration(tally.elapsed_s)]
    return f"{', '.join(parts)}: {out}"


def speed(tally: Tally) -> str:
    """45 tokens/s; 4.5 tokens/s where it is slow."""
    rate = tally.tokens_per_s
    return f"{rate:,.{0 if rate >= 10 else 1}f} tokens/s"


def lines(count: int) -> str:
    """1 line, 2 lines."""
    return f"{count:,} line{'s' * (count != 1)}"
