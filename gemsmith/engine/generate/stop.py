"""Stop strings in a stream: text is held back while it may be the start of one, so that no part is ever shown.

Of several, the one that is complete first ends the text; of those complete together, the longest. So the outcome does
not depend on how the text was cut into pieces.
"""

from __future__ import annotations

from collections.abc import Sequence


class StopStrings:
    """Feed text with `push`; what comes back can be shown. After `found`, nothing more comes."""

    def __init__(self, stops: Sequence[str]):
        self._stops = tuple(stops)
        self._held = ""
        self.num_shown = 0  # characters let through so far
        self.found = False

    def push(self, text: str) -> str:
        """The text that is safe to show now."""
        if self.found:
            return ""
        self._held += text
        spans = [(i + len(stop), i) for stop in self._stops if (i := self._held.find(stop)) >= 0]
        if spans:
            self.found = True
            _, start = min(spans)
            return self._show(start, drop=True)
        return self._show(len(self._held) - self._num_suspicious())

    def flush(self) -> str:
        """What was held back, once nothing can follow that would complete a stop string."""
        return "" if self.found else self._show(len(self._held))

    def _num_suspicious(self) -> int:
        """Length of the longest end of the held text that begins some stop string."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        for size in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-size:]) for stop in self._stops):
                return size
        return 0

    def _show(self, size: int, *, drop: bool = False) -> str:
        shown, self._held = self._held[:size], "" if drop else self._held[size:]
        self.num_shown += len(shown)
        return shown
