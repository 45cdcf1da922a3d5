"""A progress bar on standard error: one line where that is a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
WIDTH, INTERVAL_S = 24, 0.1


def progress(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    """The items, with a bar that shows how many of `total` have gone by."""
    start, drawn = time.monotonic(), 0.0
    for done, item in enumerate(items):
        yield item
        now = time.monotonic()
        if sys.stderr.isatty() and (now - drawn > INTERVAL_S or done + 1 == total):
            drawn = now
            _draw(label, done + 1, total, now - start)
    if sys.stderr.isatty():
        print(file=sys.stderr)


def _draw(label: str, done: int, total: int, elapsed_s: float) -> None:
    filled = WIDTH * done // max(1, total)
    bar = "#" * filled + "." * (WIDTH - filled)
    print(f"\r{label:<18} [{bar}] {done}/{total}  {elapsed_s:.0f} s", end="", file=sys.stderr, flush=True)
