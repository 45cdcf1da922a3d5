"""Scores as a plain table, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Failure:
    """One reply that was not the wanted one."""

    question: str
    wanted: str
    got: str


@dataclass(frozen=True)
class Row:
    """The score of one ability, and the first few failures."""

    ability: str
    n: int
    correct: int
    failures: tuple[Failure, ...] = ()

    @property
    def percent(self) -> float:
        return 100 * self.correct / self.n if self.n else 0.0


def table(rows: Sequence[Row]) -> str:
    """One line an ability; percentages are rounded down, so that 90.0 is never 89.96."""
    lines = [f"{'ability':<18} {'n':>6} {'correct':>8} {'percent':>8}"]
    lines += [f"{row.ability:<18} {row.n:>6} {row.correct:>8} {_floored(row.percent):>8}" for row in rows]
    return "\n".join(lines)


def failure_list(rows: Sequence[Row]) -> str:
    """What was asked, wanted and got instead, by ability."""
    return "\n".join(
        f"{row.ability}: {failure.question}\n    wanted {failure.wanted}\n    got    {failure.got}"
        for row in rows
        for failure in row.failures
    )


def as_json(rows: Sequence[Row]) -> str:
    """The same as JSON: a list of objects with ability, n, correct, percent and failures."""
    return json.dumps([asdict(row) | {"percent": row.percent} for row in rows], indent=2, ensure_ascii=False)


def _floored(percent: float) -> str:
    return f"{int(percent * 10) / 10:.1f}"
