"""A promise of a benchmark, and whether it holds: what `--check` asks for."""

from __future__ import annotations

from typing import NamedTuple


class Claim(NamedTuple):
    """A promise: what it is, what was found (None: not measured), and the limit."""

    name: str
    found: float | None
    limit: float
    at_least: bool = True
    cells: tuple[str, ...] = ()  # whose figures it takes

    @property
    def holds(self) -> bool:
        return self.found is not None and (self.found >= self.limit if self.at_least else self.found <= self.limit)

    def __str__(self) -> str:
        found = "not measured" if self.found is None else f"{self.found:.3f}"
        return f"{self.name}: {found}, {'at least' if self.at_least else 'at most'} {self.limit:g}"
