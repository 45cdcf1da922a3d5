"""What a person may hear while a model is fetched: an interface, silence, and plain lines.

A bar for terminals is the command line's affair.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

from gemsmith.hub.places import shown

INTERVAL_S = 5.0


@dataclass(frozen=True)
class Plan:
    """What a pull is about to do. `here` counts the bytes that need not come, of files whole or begun."""

    repo: str
    revision: str
    commit: str
    num_files: int
    nbytes: int
    here: int
    cache: Path

    @property
    def missing(self) -> int:
        """Bytes to fetch."""
        return self.nbytes - self.here


class Report(Protocol):
    """Whom a pull tells what happens."""

    def plan(self, plan: Plan) -> None:
        """It begins: files, sizes, place."""

    def note(self, text: str) -> None:
        """Something a person should know: a wait, another attempt, a file thrown away."""

    def move(self, name: str, nbytes: int) -> None:
        """So many more bytes of a file are here; less than none where some were thrown away."""

    def done(self, plan: Plan) -> None:
        """All is here, and its sums are right."""


class Silent:
    """Tells nothing."""

    def plan(self, plan: Plan) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def move(self, name: str, nbytes: int) -> None:
        """Nothing."""

    def done(self, plan: Plan) -> None:
        """Nothing."""


class Lines:
    """Plain lines every few seconds, for pipes, logs and notebooks."""

    def __init__(self, stream: TextIO | None = None, interval_s: float = INTERVAL_S) -> None:
        self._stream = stream or sys.stderr
        self._interval_s = interval_s
        self._start = self._said = time.monotonic()
        self._have = self._fetched = self._total = 0

    def plan(self, plan: Plan) -> None:
        """Say what will be fetched, how much, and where it goes."""
        self._have, self._total = plan.here, plan.nbytes
        self._start = self._said = time.monotonic()
        for line in plan_lines(plan):
            self._say(line)

    def note(self, text: str) -> None:
        """Say it."""
        self._say(text)

    def move(self, name: str, nbytes: int) -> None:
        """Say how far it is, if that was not just said."""
        self._have += nbytes
        self._fetched += nbytes
        now = time.monotonic()
        if now - self._said >= self._interval_s:
            self._said = now
            rate = max(self._fetched, 0) / (now - self._start)
            left = f", {duration((self._total - self._have) / rate)} left" if rate else ""
            self._say(f"{of(self._have, self._total)}, {size(rate)}/s{left} ({name})")

    def done(self, plan: Plan) -> None:
        """Say that all is well."""
        self._say(done_line(plan))

    def _say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


def plan_lines(plan: Plan) -> list[str]:
    """What will be fetched, in lines of at most 80 characters, the cache's path apart."""
    files = f"{plan.num_files} file{'s' if plan.num_files != 1 else ''}"
    lines = [f"{plan.repo}", f"  revision  {plan.revision}, commit {plan.commit[:8]}"]
    if plan.missing:
        before = f" ({size(plan.here)} of it is here already)" if plan.here else ""
        lines.append(f"  to fetch  {size(plan.missing)} of {size(plan.nbytes)} in {files}{before}")
    else:
        lines.append(f"  to fetch  nothing: {files}, {size(plan.nbytes)}, are here")
    return [*lines, f"  into      {shown(plan.cache)}"]


def done_line(plan: Plan) -> str:
    """All is here."""
    return f"{plan.repo} is here: {size(plan.nbytes)}, every sum right"


def size(nbytes: float) -> str:
    """Three digits and a decimal unit: 10.2 GB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if nbytes < 999.5 or unit == "TB":
            break
        nbytes /= 1000
    return f"{nbytes:.0f} {unit}" if unit == "B" or nbytes >= 99.95 else f"{nbytes:.1f} {unit}"


def of(done: float, total: float) -> str:
    """Both sizes in the total's unit: 3.2 of 10.2 GB."""
    number, unit = size(total).split()
    divisor = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}[unit]
    places = 1 if "." in number else 0
    return f"{done / divisor:.{places}f} of {number} {unit}"


def duration(seconds: float) -> str:
    """1 h 5 min, 3 min 20 s, 20 s."""
    whole = int(seconds + 0.5)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
