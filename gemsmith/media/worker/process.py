"""One decoding process as its parent sees it: started, asked, watched, ended.

It is this interpreter with this program's module path, in a session of its own, in the root folder, with nothing of
the parent's environment but what the loader needs, and with two descriptors: a socket for jobs and a pipe that tells
it when the parent is gone.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

import gemsmith.media
from gemsmith.errors import MediaError
from gemsmith.media.settings import MediaSettings
from gemsmith.media.worker import wire
from gemsmith.media.worker.texts import failed

START_S = 60.0  # for the interpreter to start, on a machine that is busy with something else
MORE_S = 0.5  # waited longer for each second that a clip or sound lasts

_CODE = (
    "import sys; socket, lifeline, *sys.path = sys.argv[1:]; "
    "from gemsmith.media.worker.child import main; main(int(socket), int(lifeline))"
)
# Kept of the environment: what finds libraries and says how text is encoded. Keys and tokens are not among it.
_KEPT = ("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")
# One thread and one heap for each: the memory limit counts addresses, of which every further one reserves 64 MB.
_SET = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}

Frame = tuple[dict[str, Any], list[np.ndarray]]


class Gone(MediaError):
    """The process had ended, or was beyond use, before it took the job: another may do it."""

    def __init__(self) -> None:
        error = failed("start")
        super().__init__(error.code, str(error))


class Process:
    """A child with its socket; `max_memory` is the limit it lives under."""

    def __init__(self, jobs: dict[str, str], max_memory: int):
        self.max_memory, self.is_ready = max_memory, False
        with ExitStack() as ours, ExitStack() as childs:
            try:
                self._socket, theirs = _sockets(ours, childs)
                ear, self._lifeline = _pipe(ours, childs)
                self._process = _started(theirs.fileno(), ear)
            except (OSError, ValueError):
                raise failed("start") from None  # the cause names paths of this machine
            ours.pop_all()
        try:
            wire.send(self._socket, wire.encoded({"jobs": jobs, "max_memory": max_memory}))
        except OSError:
            self.end()
            raise failed("start") from None

    def is_idle(self) -> bool:
        """Whether it waits for a job: alive, and silent since its last answer."""
        if not self.is_ready:
            return self._process.poll() is None
        return not select.select([self._socket], [], [], 0)[0]

    def ask(self, job: str, fd: int, options: dict[str, Any], settings: MediaSettings) -> Frame:
        """The child's answer. Raises MediaError where there is none, and then the child is good for nothing more."""
        frame = wire.encoded({"job": job, "options": options})
        self._await_ready()
        self._hand_over(frame, fd)
        allowed_s = settings.timeout_s
        start = time.monotonic()
        try:
            header = wire.receive(self._socket, start + allowed_s)
            while "length" in header:
                allowed_s = settings.timeout_s + MORE_S * _seconds(header["length"], settings.max_seconds)
                header = wire.receive(self._socket, start + allowed_s)
            return header, wire.receive_arrays(self._socket, header, settings.max_memory, start + allowed_s)
        except TimeoutError:
            raise failed("hang", seconds=round(allowed_s, 1)) from None
        except wire.Nonsense:
            raise failed("nonsense") from None
        except (EOFError, OSError):
            raise failed("crash") from None

    def _hand_over(self, frame: bytes, fd: int) -> None:
        """Have the child take a job. It does so at once, or it ended while it was idle."""
        try:
            wire.send(self._socket, frame, fd=fd, deadline=time.monotonic() + START_S)
            if wire.receive(self._socket, time.monotonic() + START_S) != {"taken": True}:
                raise wire.Nonsense
        except (EOFError, OSError, wire.Nonsense):
            raise Gone from None

    def _await_ready(self) -> None:
        if self.is_ready:
            return
        with suppress(EOFError, OSError, wire.Nonsense):
            self.is_ready = wire.receive(self._socket, time.monotonic() + START_S) == {"ready": True}
        if not self.is_ready:
            raise failed("start")

    def kill(self) -> None:
        """Make whoever waits for its answer find that it crashed."""
        self._process.kill()

    def end(self) -> None:
        """Kill it and leave nothing behind. Only for who would ask it next."""
        self._process.kill()
        self._process.wait()
        self._forget()

    def disown(self) -> None:
        """After a fork: the child is our parent's. Let go of it without waiting for what is not ours."""
        self._process.returncode = 0  # Popen would warn of a child that it cannot wait for
        self._forget()

    def _forget(self) -> None:
        self._socket.close()
        os.close(self._lifeline)


# Numbers 0 to 2 may be free where a program runs without standard streams. The child puts its own there, and whatever
# else this program writes to its standard streams would go to them: so nothing here has such a number.


def _sockets(ours: ExitStack, childs: ExitStack) -> tuple[socket.socket, socket.socket]:
    """Two ends of a socket, above the standard streams; what is opened is left to the stacks to close."""
    mine, theirs = socket.socketpair()
    with mine, theirs:
        raised = ours.enter_context(socket.socket(fileno=_above_streams(mine.fileno())))
        return raised, childs.enter_context(socket.socket(fileno=_above_streams(theirs.fileno())))


def _pipe(ours: ExitStack, childs: ExitStack) -> tuple[int, int]:
    """Two ends of a pipe, likewise."""
    ear, lifeline = os.pipe()
    try:
        raised = _above_streams(lifeline)
        ours.callback(os.close, raised)
        heard = _above_streams(ear)
        childs.callback(os.close, heard)
        return heard, raised
    finally:
        os.close(ear)
        os.close(lifeline)


def _above_streams(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)


def _started(sock: int, ear: int) -> subprocess.Popen[bytes]:
    if not sys.executable:
        raise ValueError("this Python does not know its own executable")
    # -I: neither the environment nor the current folder add modules; -B: nothing is written
    command = [sys.executable, "-I", "-B", "-c", _CODE, str(sock), str(ear), *module_path()]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={name: os.environ[name] for name in _KEPT if name in os.environ} | _SET,
        start_new_session=True,
        pass_fds=(sock, ear),
    )


def module_path() -> list[str]:
    """Where the child finds modules: where this process does, less what depends on the current folder."""
    home = str(Path(gemsmith.media.__path__[0]).resolve().parents[1])
    path = [entry for entry in sys.path if os.path.isabs(entry)]
    is_there = any(os.path.realpath(entry) == home for entry in path)
    return path if is_there else [home, *path]


def _seconds(told: object, most: float) -> float:
    if not isinstance(told, float) or not told >= 0:
        raise wire.Nonsense("no length")
    return min(told, most)
