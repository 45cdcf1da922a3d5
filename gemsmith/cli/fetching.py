"""Models that a command needs and that are not here: fetched with a bar on a terminal, in plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gemsmith.cli.output import MANNER, colours, note, wrapped, write
from gemsmith.hub.report import Lines, Plan, Report, Silent, done_line, duration, of, plan_lines, size

NAME_WIDTH = 32
SPARE_COLUMNS = 2


def ensure_here(model: str) -> None:
    """Fetch the model that a command is about to load, if it is to come from the Hub; say so first, with its size.

    Raises DownloadError where nothing may be fetched. A name that leads nowhere is for `gemsmith.load` to refuse.
    """
    from gemsmith.errors import ModelNotFoundError
    from gemsmith.hub.connection import offline_error
    from gemsmith.hub.fetch import fetched, refuse_unread
    from gemsmith.hub.names import resolve
    from gemsmith.hub.places import offline
    from gemsmith.runtime.probe import total_memory

    try:
        found = resolve(model)
    except ModelNotFoundError:
        return
    if found.kind != "remote" or found.wanted is None:
        return
    refuse_unread(model, found.wanted)
    if offline():
        raise offline_error(model)
    with reporting() as report:
        note(f"{model} is not on this machine yet")
        fetched(found, memory=total_memory(), report=report)


@contextmanager
def reporting(quiet: bool = False) -> Iterator[Report]:
    """Whom to tell what happens; Ctrl-C in here says that nothing is lost."""
    at_terminal = sys.stderr.isatty() and not quiet
    report: Any = Silent() if quiet else Bar() if at_terminal and can_move() else Lines()
    try:
        yield report
    except KeyboardInterrupt:
        if isinstance(report, Bar):
            report.close()
        note("stopped; what has arrived is kept, and the same command goes on from there")
        raise
    finally:
        if isinstance(report, Bar):
            report.close()


def can_move() -> bool:
    """Whether the terminal can redraw a line, and the person wants that."""
    return os.environ.get("TERM") not in (None, "", "dumb") and not MANNER.spoken


class Bar:
    """One line that shows all bytes of a pull, their rate, and the time left."""

    def __init__(self) -> None:
        self._console = console()
        self._progress: Any = None
        self._task: Any = None

    def plan(self, plan: Plan) -> None:
        """Say what will be fetched; the bar begins with the first byte."""
        for line in plan_lines(plan):
            write(sys.stderr, f"{line}\n")
        if plan.missing:
            self._progress = bar(self._console)
            self._task = self._progress.add_task("", total=plan.nbytes, completed=plan.here)

    def note(self, text: str) -> None:
        """Say it above the bar."""
        if self._progress is None:
            write(sys.stderr, f"{wrapped(text, sys.stderr)}\n")
        else:
            from rich.text import Text

            self._progress.console.print(Text(text))

    def move(self, name: str, nbytes: int) -> None:
        """Move the bar."""
        if self._progress is not None:
            self._progress.start()
            self._progress.update(self._task, advance=nbytes, description=shortened(name))

    def done(self, plan: Plan) -> None:
        """End the bar, and say that all is well."""
        self.close()
        write(sys.stderr, f"{done_line(plan)}\n")

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def console() -> Any:
    """The terminal, less the columns that "^C" takes: a bar as wide as the window would be broken by it."""
    from rich.console import Console, ConsoleDimensions

    class Narrower(Console):
        @property  # type: ignore[misc]  # nobody here sets it
        def size(self) -> ConsoleDimensions:
            width, height = super().size
            return ConsoleDimensions(max(width - SPARE_COLUMNS, 10), height)

    return Narrower(stderr=True, no_color=not colours(sys.stderr), highlight=False)


def bar(console: Any) -> Any:
    """The columns: file, bar, bytes, rate, time left; at most 80 wide."""
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.table import Column
    from rich.text import Text

    class Numbers(ProgressColumn):
        def render(self, task: Task) -> Text:
            words = f"{of(task.completed, task.total or 0):>15}"
            if task.speed:
                words += f"  {size(task.speed):>7}/s"
            if task.time_remaining is not None and not task.finished:
                words += f"  {duration(task.time_remaining)}"
            return Text(f"{words:<42}")

    name = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True))
    shape = BarColumn(bar_width=None, table_column=Column(ratio=1))
    return Progress(name, shape, Numbers(Column(no_wrap=True)), console=console, refresh_per_second=4, expand=True)


def shortened(name: str) -> str:
    """A file's name with its middle left out, where it is long."""
    if len(name) <= NAME_WIDTH:
        return name
    half = (NAME_WIDTH - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
