"""What this machine could do at most: how fast its memory is read, how many 8-bit products its cores sum.

Generation reads every weight once a token, and a prompt multiplies with each: a speed means something beside these two.
A measurement takes about a second, and 2 GB of memory while it lasts.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass

from gemsmith.errors import GemsmithError
from gemsmith.kernels import native

READ_BYTES = 2_000_000_000  # many times the largest cache
LOOP_S = 0.05
REPEATS = 5
TIMEOUT_S = 300  # a machine that is busy with something else, and swaps
CHILD = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from gemsmith.kernels.limits import main
main(*map(int, sys.argv[2:]))
"""


@dataclass(frozen=True)
class Limits:
    """The best of five reads and of five loops, all threads together. A multiply-add is two operations."""

    read_bytes_per_s: float
    int8_ops_per_s: float
    int8_instruction: str


def limits(threads: int, read_bytes: int = READ_BYTES) -> Limits:
    """Measure now. MemoryError where `read_bytes` cannot be had; MissingDependencyError without the native kernels."""
    kernels = native()
    return Limits(
        read_bytes_per_s=kernels.read_bytes_per_s(threads, read_bytes, REPEATS),
        int8_ops_per_s=kernels.int8_ops_per_s(threads, LOOP_S, REPEATS),
        int8_instruction=kernels.int8_instruction(),
    )


def limits_apart(threads: int, read_bytes: int = READ_BYTES) -> Limits:
    """The same in a process of its own, whose memory counts for nobody else: for whoever reports a peak of its own."""
    native()  # without it, say so here
    command = [sys.executable, "-c", CHILD, json.dumps(sys.path), str(threads), str(read_bytes)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
        return Limits(**json.loads(done.stdout))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise GemsmithError(
            f"the limits of this machine cannot be measured ({said[-1] if said else error}); it takes"
            f" {read_bytes / 1e9:.1f} GB of memory, so close other programs and try again"
        ) from error


def main(threads: int, read_bytes: int) -> None:
    """What the process of `limits_apart` does."""
    print(json.dumps(asdict(limits(threads, read_bytes))))
