"""A job that fails as it is told to: how decoders fail, on demand. Tests give it to a pool; nothing else knows it."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import Any, BinaryIO

import numpy as np

from gemsmith.errors import MediaError
from gemsmith.media.jobs import length

Answer = tuple[dict[str, Any], list[np.ndarray]]


def decode(file: BinaryIO, options: dict[str, Any]) -> Answer:
    """Do what `options["fault"]` names; "none" answers with the file's bytes."""
    return FAULTS[options["fault"]](file, options)


def none(file: BinaryIO, options: dict[str, Any]) -> Answer:
    data = np.frombuffer(file.read(), dtype=np.uint8)
    return {"pid": os.getpid(), "size": data.size}, [data]


def crash(file: BinaryIO, options: dict[str, Any]) -> Answer:
    os.kill(os.getpid(), options.get("signal", signal.SIGSEGV))
    time.sleep(60)
    raise AssertionError


def leave(file: BinaryIO, options: dict[str, Any]) -> Answer:
    os._exit(options.get("status", 0))


def leave_politely(file: BinaryIO, options: dict[str, Any]) -> Answer:
    raise SystemExit(0)


def hang(file: BinaryIO, options: dict[str, Any]) -> Answer:
    if "tells" in options:
        length.tell(options["tells"])
    time.sleep(options.get("seconds", 600))
    return {"pid": os.getpid()}, []


def hold(file: BinaryIO, options: dict[str, Any]) -> Answer:
    """One call into C that never lets Python run: no thread and no handler of the child can end it."""
    return {"sum": sum(range(10**15))}, []


def allocate(file: BinaryIO, options: dict[str, Any]) -> Answer:
    held = [np.empty(16 << 20, dtype=np.uint8) for _ in range(options["megabytes"] // 16)]
    return {"pid": os.getpid(), "held": len(held)}, []


def grow(file: BinaryIO, options: dict[str, Any]) -> Answer:
    """Keep memory after the job, as a leak does."""
    LEAKED.append(np.ones(options["megabytes"] << 20, dtype=np.uint8))
    return {"pid": os.getpid()}, []


LEAKED: list[np.ndarray] = []


def write(file: BinaryIO, options: dict[str, Any]) -> Answer:
    """Try to write to a file of its own, at `options["path"]`, and to the one it was given; tell what came of it."""
    outcome = {"own": "written", "given": "written"}
    try:
        with open(options["path"], "wb") as own:
            own.write(b"x" * 10)
    except OSError as refused:
        outcome["own"] = type(refused).__name__
    try:
        os.write(file.fileno(), b"x")
    except OSError as refused:
        outcome["given"] = type(refused).__name__
    return outcome, []


def look(file: BinaryIO, options: dict[str, Any]) -> Answer:
    """What this process sees of its surroundings."""
    return {
        "environment": sorted(os.environ),
        "folder": os.getcwd(),
        "descriptors": len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0,
        "session": os.getsid(0) == os.getpid(),
        "position": file.tell(),
    }, []


def speak(file: BinaryIO, options: dict[str, Any]) -> Answer:
    """Refuse, in the words of the test."""
    raise MediaError(options["code"], options["message"])


def fail(file: BinaryIO, options: dict[str, Any]) -> Answer:
    """Raise what a decoder might, with words that nobody should read."""
    kinds = {each.__name__: each for each in (ValueError, OSError, RecursionError, MemoryError, RuntimeError)}
    raise kinds[options["kind"]](f"Traceback: {file!r} at 0x7f00deadbeef in {__file__}")


def lack(file: BinaryIO, options: dict[str, Any]) -> Answer:
    raise ModuleNotFoundError("No module named", name=options["module"])


def babble(file: BinaryIO, options: dict[str, Any]) -> Answer:
    """Send bytes of the test's choosing instead of an answer, and stay."""
    for fd in range(3, 64):
        try:
            with socket.socket(fileno=os.dup(fd)) as each:
                each.send(bytes.fromhex(options["bytes"]))
        except OSError:
            pass
    time.sleep(600)
    raise AssertionError


def unfit(file: BinaryIO, options: dict[str, Any]) -> Answer:
    """An answer that does not travel."""
    return {"pid": os.getpid()}, [np.zeros(3, dtype=np.complex128)]


FAULTS = {
    each.__name__: each
    for each in (
        none, crash, leave, leave_politely, hang, hold, allocate, grow, write, look, speak, fail, lack, babble, unfit
    )
}  # fmt: skip
