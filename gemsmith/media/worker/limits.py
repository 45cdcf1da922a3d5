"""What the decoding process takes from itself before it reads anything: memory, files, signals, and a life of its own.

Applied in the child, by the child, and not to be undone: hard limits equal the soft ones.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import sys
import threading
from contextlib import suppress

LIBRARIES = 512 << 20  # bytes of addresses that the interpreter and the decoders' code may take beyond `max_memory`
MAX_FILES = 64


def apply(max_memory: int) -> None:
    """No memory beyond `max_memory`, nothing written to files, few files open, no core dump, no Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # where memory is short for all, the system ends this process and not its parent
    _limit("RLIMIT_AS", _mapped_bytes() + LIBRARIES + max_memory)
    _limit("RLIMIT_NOFILE", MAX_FILES)
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_FSIZE", 0)


def _limit(name: str, value: int) -> None:
    kind = getattr(resource, name)
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    with suppress(OSError, ValueError):  # macOS knows RLIMIT_AS and refuses to set it
        resource.setrlimit(kind, (value, value))


def end_with_parent(lifeline: int, by_signal: bool = sys.platform == "linux") -> None:
    """End this process as soon as nobody holds the other end of the pipe `lifeline`, also in the midst of a job.

    On Linux the system sends SIGIO, which ends a process even while a decoder's loop lets no Python run. Elsewhere
    SIGIO does not end a process, so a thread waits for the end of the pipe.
    """
    if not by_signal:
        threading.Thread(target=_exit_at_end, args=(lifeline,), daemon=True).start()
        return
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGIO})
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def _exit_at_end(lifeline: int) -> None:
    os.read(lifeline, 1)
    os._exit(0)


def resident_bytes() -> int:
    """Memory this process holds now; where the system does not tell, the most it ever held."""
    with suppress(OSError):
        return _statm(1)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _mapped_bytes() -> int:
    with suppress(OSError):
        return _statm(0)
    return 0


def _statm(field: int) -> int:
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[field]) * resource.getpagesize()
