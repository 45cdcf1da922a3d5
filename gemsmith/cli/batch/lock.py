"""One batch at a time into one output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gemsmith.errors import GemsmithError


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold the lock of an output; GemsmithError if another process does. A killed process holds none."""
    from filelock import FileLock, Timeout

    path = out.with_name(f"{out.name}.part.lock")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise GemsmithError(f"another batch is writing {out}; wait for it, or name another output") from None
    except (OSError, NotImplementedError) as cause:
        reason = getattr(cause, "strerror", None) or cause
        raise GemsmithError(f"cannot lock {path}: {reason}; choose an output on another disk") from cause
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is ours, so that nobody's lock is taken away
        lock.release()
