"""The child's side: read a job, decode, answer, again. Runs in a process that `process` starts; see `main`.

Nothing it meets ends it but the end of the socket: whatever a job raises becomes an answer. What it cannot answer, a
crash or a hang, is for the parent to see.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
from typing import Any, BinaryIO

import numpy as np

from gemsmith.errors import MediaError
from gemsmith.media.jobs import length
from gemsmith.media.worker import limits, wire

Answer = tuple[dict[str, Any], list[np.ndarray]]


def main(socket_fd: int, lifeline: int) -> None:
    """Serve jobs until the parent closes the socket."""
    with socket.socket(fileno=socket_fd) as sock:
        start = wire.receive(sock)
        limits.end_with_parent(lifeline)
        limits.apply(start["max_memory"])
        length.listen(lambda seconds: wire.send(sock, wire.encoded({"length": float(seconds)})))
        wire.send(sock, wire.encoded({"ready": True}))
        try:
            while True:
                serve(sock, start["jobs"])
        except (EOFError, ConnectionError):
            return


def serve(sock: socket.socket, jobs: dict[str, str]) -> None:
    """Read one job, and answer it."""
    request, fd = wire.receive_with_file(sock)
    assert fd is not None, request
    wire.send(sock, wire.encoded({"taken": True}))
    with opened(fd) as file:
        header, arrays = answer(jobs[request["job"]], file, request["options"])
    header["resident"] = limits.resident_bytes()
    try:
        wire.send_arrays(sock, header, arrays)
    except ValueError:  # of our own making, before a byte was sent: an answer that does not travel
        wire.send_arrays(sock, {"failed": "nonsense", "resident": 0}, [])


def answer(module: str, file: BinaryIO, options: dict[str, Any]) -> Answer:
    """What the job says, or how it failed."""
    try:
        values, arrays = importlib.import_module(module).decode(file, options)
        return {"values": values}, arrays
    except MediaError as refusal:
        return {"refused": refusal.code, "message": str(refusal)}, []
    except ModuleNotFoundError as missing:
        return {"missing": missing.name}, []
    except MemoryError:
        return {"failed": "memory"}, []
    except Exception:
        return {"failed": "damaged"}, []


def opened(fd: int) -> BinaryIO:
    """The file behind a descriptor, from its beginning, with a position that nobody shares, and only to be read."""
    if sys.platform == "linux":
        try:
            again = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            pass  # a file that this user may no longer open
        else:
            os.close(fd)
            fd = again
    os.lseek(fd, 0, os.SEEK_SET)
    return os.fdopen(fd, "rb")
