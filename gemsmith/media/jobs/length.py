"""How a job asks for more time: it tells how many seconds its clip or sound lasts, once it knows.

The process that waits adds half a second for each, up to `MediaSettings.max_seconds`; a file that lies gains no more
than that. Outside the decoding process telling does nothing.
"""

from __future__ import annotations

from collections.abc import Callable

_listener: Callable[[float], None] | None = None


def tell(seconds: float) -> None:
    """This clip or sound lasts so many seconds."""
    if _listener is not None:
        _listener(seconds)


def listen(listener: Callable[[float], None] | None) -> None:
    """Who is told from now on; None for nobody."""
    global _listener
    _listener = listener
