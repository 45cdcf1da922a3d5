"""Ctrl-C stops what may be stopped, once, and nothing else: never a file that is being written, never the program."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupts:
    """While it is `installed`, Ctrl-C raises KeyboardInterrupt inside `allowed()`, and is ignored elsewhere."""

    def __init__(self) -> None:
        self._is_allowed = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take over the signal; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._pressed)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """A block that one Ctrl-C leaves with KeyboardInterrupt."""
        self._is_allowed = True
        try:
            yield
        finally:
            self._is_allowed = False

    def _pressed(self, number: int, frame: FrameType | None) -> None:
        if self._is_allowed:
            self._is_allowed = False  # a second press does not interrupt what the first one started
            raise KeyboardInterrupt


@contextmanager
def silent_keys() -> Iterator[None]:
    """Keys pressed meanwhile do not show between the words of an answer; they wait for the next prompt."""
    before = _without_echo()
    try:
        yield
    finally:
        if before is not None:
            import termios

            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, before)


def _without_echo() -> list[Any] | None:
    """Switch the terminal's echo off; its settings before that, or None where there is no such terminal."""
    try:
        import termios
    except ImportError:  # Windows
        return None
    try:
        before = termios.tcgetattr(sys.stdin.fileno())
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, [*before[:3], before[3] & ~termios.ECHO, *before[4:]])
        return before
    except (termios.error, OSError, ValueError):
        return None
