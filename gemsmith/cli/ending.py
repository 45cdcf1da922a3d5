"""SIGTERM and SIGHUP (a terminal that was closed) as exceptions, so that what is half-written is tidied up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))  # one on Windows


@contextmanager
def tidy_ending() -> Iterator[None]:
    """Within the block the first of these signals raises SystemExit with 128 + its number, as shells have it.

    Signals that somebody else handles or ignores are left to them; only the main thread can take over any.
    """
    is_main = threading.current_thread() is threading.main_thread()
    taken = [number for number in SIGNALS if is_main and signal.getsignal(number) is signal.SIG_DFL]
    arrived: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        arrived.append(number)
        if len(arrived) == 1:  # the tidying up is not to be disturbed
            raise SystemExit(128 + number)

    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
