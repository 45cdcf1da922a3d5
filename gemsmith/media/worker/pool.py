"""The decoding processes of this program: at most two, started when first needed, replaced when they fail.

Safe for threads; a fork starts with none of its own. What fails takes its process with it, so the next job always
meets a healthy one.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from typing import Any, BinaryIO

import numpy as np

from gemsmith.errors import MissingDependencyError
from gemsmith.media.jobs import JOBS
from gemsmith.media.settings import MediaSettings
from gemsmith.media.worker.process import Gone, Process
from gemsmith.media.worker.texts import CODES, PACKAGES, failed, refused

MAX_RESIDENT = 512 << 20  # bytes; a process that holds more after its job is not kept

_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


class Pool:
    """Up to `size` processes that know `jobs` (name -> module)."""

    def __init__(self, jobs: dict[str, str] = JOBS, size: int = 2):
        self.jobs, self.size = dict(jobs), size
        self._lock, self._slots = threading.Lock(), threading.BoundedSemaphore(size)
        self._all: set[Process] = set()
        self._idle: list[Process] = []
        _pools.add(self)

    def run(
        self, job: str, file: BinaryIO, options: dict[str, Any], settings: MediaSettings
    ) -> tuple[dict[str, Any], list[np.ndarray]]:
        """See `gemsmith.media.worker.run`."""
        if job not in self.jobs:
            raise ValueError(f"no job is called {job!r}; there are: {', '.join(self.jobs)}")
        with self._slots:
            try:
                return self._ask(self._take(settings.max_memory), job, file, options, settings)
            except Gone:
                return self._ask(self._started(settings.max_memory), job, file, options, settings)

    def _ask(
        self, process: Process, job: str, file: BinaryIO, options: dict[str, Any], settings: MediaSettings
    ) -> tuple[dict[str, Any], list[np.ndarray]]:
        try:
            header, arrays = process.ask(job, file.fileno(), options, settings)
            values = values_of(header, settings)
        except Refusal as refusal:
            self._give(process, refusal.resident)
            raise refusal.error from None
        except BaseException:  # also Ctrl-C: nobody waits for this answer any more
            self._discard(process)
            raise
        self._give(process, header["resident"])
        return values, arrays

    def warm(self, settings: MediaSettings) -> None:
        """Have a process start, without waiting for it."""
        if self._slots.acquire(blocking=False):
            try:
                self._give(self._take(settings.max_memory), 0)
            finally:
                self._slots.release()

    def close(self) -> None:
        """End all processes, also those at work; the next job starts anew."""
        with self._lock:
            idle, busy = self._idle, self._all.difference(self._idle)
            self._all, self._idle = set(), []
        for process in busy:
            process.kill()  # and whoever waits for it, ends it
        for process in idle:
            process.end()

    def _take(self, max_memory: int) -> Process:
        """An idle process with this limit, or a new one."""
        while True:
            with self._lock:
                process = self._idle.pop() if self._idle else None
            if process is None:
                break
            if process.max_memory == max_memory and process.is_idle():
                return process
            self._discard(process)
        return self._started(max_memory)

    def _started(self, max_memory: int) -> Process:
        process = Process(self.jobs, max_memory)
        with self._lock:
            self._all.add(process)
        return process

    def _give(self, process: Process, resident: int) -> None:
        with self._lock:
            is_kept = resident <= MAX_RESIDENT and process in self._all
            if is_kept:
                self._idle.append(process)
        if not is_kept:
            self._discard(process)

    def _discard(self, process: Process) -> None:
        with self._lock:
            self._all.discard(process)
        process.end()

    def disown(self) -> None:
        """In a fork: begin with no process, and with locks that no thread of the parent holds."""
        for process in self._all:
            process.disown()
        self._lock, self._slots = threading.Lock(), threading.BoundedSemaphore(self.size)
        self._all, self._idle = set(), []


class Refusal(Exception):
    """The child answered that it will not: its process is as good as before."""

    def __init__(self, error: Exception, resident: int):
        self.error, self.resident = error, resident


def values_of(header: dict[str, Any], settings: MediaSettings) -> dict[str, Any]:
    """The values of an answer; raises what the answer says went wrong."""
    match header:
        case {"values": dict(values), "resident": int()}:
            return values
        case {"refused": str(code), "message": str(message), "resident": int(resident)} if code in CODES:
            raise Refusal(refused(code, message), resident)
        case {"missing": str(name), "resident": int(resident)} if name in PACKAGES:
            raise Refusal(MissingDependencyError(PACKAGES[name], "media", "decoding this file"), resident)
        case {"failed": "damaged", "resident": int(resident)}:
            raise Refusal(failed("damaged"), resident)
        case {"failed": "memory"}:
            raise failed("memory", megabytes=settings.max_memory >> 20)
    raise failed("nonsense")


_SHARED = Pool()  # made with this module, so that no two threads make one each; it starts no process yet


def shared() -> Pool:
    """The pool of this program."""
    return _SHARED


def _close_all() -> None:
    for pool in list(_pools):
        pool.close()


def _disown_all() -> None:
    for pool in list(_pools):
        pool.disown()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_disown_all)
