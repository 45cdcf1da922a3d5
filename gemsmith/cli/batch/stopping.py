"""Ctrl-C and SIGTERM end a batch between two lines, or in the middle of an answer, but never of a write."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(BaseException):
    """Somebody asked the batch to stop. No line's error: it passes everything that catches those."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit_code = 128 + signal_number


class Stop:
    """While it is `installed`, a signal raises Stopped inside `allowed()`: at once, or at the next one's start."""

    def __init__(self) -> None:
        self._asked = 0
        self._is_allowed = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take over the signals, those apart that whoever started us has them ignored; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        taken = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
        for number in taken:
            signal.signal(number, self._arrived)
        try:
            yield
        finally:
            for number in taken:
                signal.signal(number, before[number])

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """A block that may be left at any moment."""
        self._is_allowed = True
        try:
            if self._asked:
                raise Stopped(self._asked)
            yield
        finally:
            self._is_allowed = False

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        self._asked = number
        if self._is_allowed:
            self._is_allowed = False  # one is enough: what follows is tidying up
            raise Stopped(number)
