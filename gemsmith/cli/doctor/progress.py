"""One line on stderr that says what is being done, for a person who waits; nothing where nobody watches."""

from __future__ import annotations

import os
import sys
import time

PAUSE_S = 0.1  # between two changes of the line


class Progress:
    """`say` replaces the line, `clear` takes it away; a terminal without cursor control gets none."""

    def __init__(self) -> None:
        self._watched = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._shown, self._at = False, 0.0

    def say(self, text: str) -> None:
        now = time.monotonic()
        if self._watched and now - self._at >= PAUSE_S:
            self._shown, self._at = True, now
            safe = "".join(c if c.isprintable() else "?" for c in text)
            print(f"\r\x1b[K{safe[:76]} ...", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = False
