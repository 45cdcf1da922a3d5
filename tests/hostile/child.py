"""Files read in a process of their own that may take only so much memory: `python -m tests.hostile.child MEGABYTES`.

Reads lines "kind<tab>path", answers each with a line of JSON: which exception, its message, processor seconds, and the
peak of Python's own allocations in bytes. Whatever is not a GemsmithError is told as it is, and fails the test.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Verdict:
    """What reading one file came to."""

    kind: str
    path: str
    error: str | None  # the exception's class; None: the file was read
    message: str
    ours: bool
    seconds: float
    peak: int


def verdicts(files: Iterable[tuple[str, Path]], *, megabytes: int = 256) -> list[Verdict]:
    """One for each file, in order. AssertionError if the child dies on one of them."""
    lines = [f"{kind}\t{path}\n" for kind, path in files]
    command = [sys.executable, "-m", "tests.hostile.child", str(megabytes)]
    done = subprocess.run(command, cwd=ROOT, input="".join(lines), capture_output=True, text=True, timeout=300)
    found = [Verdict(**json.loads(line)) for line in done.stdout.splitlines()]
    at = lines[len(found)] if len(found) < len(lines) else "none"
    assert done.returncode == 0 and len(found) == len(lines), f"{done.returncode} at {at!r}: {done.stderr[-2000:]}"
    return found


def verdict(kind: str, path: Path) -> Verdict:
    """Read one file twice: for the time, and for the memory, whose tracing takes time."""
    from gemsmith.errors import GemsmithError
    from tests.hostile.readers import READERS

    error: BaseException | None = None
    began = time.process_time()
    try:
        READERS[kind](path)
    except Exception as raised:
        error = raised
    seconds = time.process_time() - began
    tracemalloc.start()
    try:
        READERS[kind](path)
    except Exception as raised:
        error = raised
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    ours = isinstance(error, GemsmithError)
    return Verdict(kind, str(path), type(error).__name__ if error else None, str(error or ""), ours, seconds, peak)


def main() -> None:
    import resource

    limit = int(sys.argv[1]) << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for line in sys.stdin:
        kind, _, path = line.rstrip("\n").partition("\t")
        print(json.dumps(verdict(kind, Path(path)).__dict__), flush=True)
    assert "torch" not in sys.modules and "numpy" not in sys.modules


if __name__ == "__main__":
    main()
