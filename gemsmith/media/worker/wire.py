"""Frames on the socket between parent and child: a JSON header, then the raw bytes of the arrays it announces.

Whatever comes in is checked before memory is taken for it: lengths, types and shapes. `Nonsense` is raised for what
does not fit, `EOFError` when the other side is gone, `TimeoutError` when `deadline` (of `time.monotonic`) passes.
"""

from __future__ import annotations

import json
import math
import socket
import struct
import time
from typing import Any

import numpy as np

MAX_HEADER = 1 << 20
MAX_ARRAYS = 1024
DTYPES = ("uint8", "int16", "int32", "int64", "float32", "float64", "bool")

_LENGTH = struct.Struct("!I")
_QUIET = getattr(socket, "MSG_NOSIGNAL", 0)  # a dead child is an error to handle, not a signal that ends the parent


class Nonsense(Exception):
    """The other side sent what no honest side sends."""


def encoded(header: dict[str, Any]) -> bytes:
    """A header as it travels: its length, then JSON. ValueError when it is too long."""
    text = json.dumps(header, ensure_ascii=False).encode(errors="surrogatepass")
    if len(text) > MAX_HEADER:
        raise ValueError(f"a header has {len(text)} bytes, limit {MAX_HEADER}")
    return _LENGTH.pack(len(text)) + text


def send(sock: socket.socket, frame: bytes, *, fd: int | None = None, deadline: float | None = None) -> None:
    """Send what `encoded` made, and with its first bytes an open file."""
    _wait(sock, deadline)
    sent = socket.send_fds(sock, [frame], [] if fd is None else [fd], _QUIET)
    if rest := frame[sent:]:  # sending nothing would fail where the other side took all of it and then died
        _wait(sock, deadline)
        sock.sendall(rest, _QUIET)


def send_arrays(sock: socket.socket, header: dict[str, Any], arrays: list[np.ndarray]) -> None:
    """A header that announces arrays, and their bytes after it."""
    packed = [np.ascontiguousarray(array) for array in arrays]
    wrong = [str(a.dtype) for a in packed if a.dtype.name not in DTYPES or not a.dtype.isnative]
    if wrong or len(packed) > MAX_ARRAYS:
        raise ValueError(f"{len(packed)} arrays, of types that do not travel: {wrong}")
    shapes = [{"dtype": array.dtype.name, "shape": array.shape} for array in packed]
    send(sock, encoded({**header, "arrays": shapes}))
    for array in packed:
        if array.nbytes:
            sock.sendall(array.reshape(-1).view(np.uint8).data, _QUIET)


def receive(sock: socket.socket, deadline: float | None = None) -> dict[str, Any]:
    """The next header."""
    return _header(_exactly(sock, _LENGTH.size, deadline), sock, deadline)


def receive_with_file(sock: socket.socket) -> tuple[dict[str, Any], int | None]:
    """The next header, and the file that came with it."""
    start, fds, _, _ = socket.recv_fds(sock, _LENGTH.size, 1)
    if not start:
        raise EOFError
    start += _exactly(sock, _LENGTH.size - len(start), None)
    return _header(start, sock, None), fds[0] if fds else None


def receive_arrays(
    sock: socket.socket, header: dict[str, Any], most_bytes: int, deadline: float | None = None
) -> list[np.ndarray]:
    """The arrays that `header` announced, together no larger than `most_bytes`."""
    announced = header.get("arrays")
    if not isinstance(announced, list) or len(announced) > MAX_ARRAYS:
        raise Nonsense("no list of arrays")
    kinds = [_kind(each) for each in announced]
    # a side of 0 counts as 1: numpy too refuses what would be too large without it
    if sum(np.dtype(dtype).itemsize * math.prod(side or 1 for side in shape) for dtype, shape in kinds) > most_bytes:
        raise Nonsense("arrays too large")
    arrays = [np.empty(shape, dtype) for dtype, shape in kinds]
    for array in arrays:
        if array.nbytes:
            _fill(sock, array.reshape(-1).view(np.uint8).data, deadline)
    return arrays


def _kind(announced: object) -> tuple[str, tuple[int, ...]]:
    match announced:
        case {"dtype": str(dtype), "shape": list(shape)} if dtype in DTYPES and 0 < len(shape) <= 8:
            if all(type(side) is int and 0 <= side <= 1 << 40 for side in shape):
                return dtype, tuple(shape)
    raise Nonsense("no such array")


def _header(start: bytes, sock: socket.socket, deadline: float | None) -> dict[str, Any]:
    (length,) = _LENGTH.unpack(start)
    if length > MAX_HEADER:
        raise Nonsense("header too long")
    try:
        header = json.loads(_exactly(sock, length, deadline))
    except (ValueError, RecursionError) as cause:
        raise Nonsense("no JSON") from cause
    if not isinstance(header, dict):
        raise Nonsense("no JSON object")
    return header


def _exactly(sock: socket.socket, length: int, deadline: float | None) -> bytes:
    data = bytearray(length)
    _fill(sock, memoryview(data), deadline)
    return bytes(data)


def _fill(sock: socket.socket, view: memoryview, deadline: float | None) -> None:
    while view.nbytes:
        _wait(sock, deadline)
        received = sock.recv_into(view)
        if not received:
            raise EOFError
        view = view[received:]


def _wait(sock: socket.socket, deadline: float | None) -> None:
    """Let the next call on the socket wait until the deadline and no longer."""
    if deadline is None:
        return
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    sock.settimeout(left_s)
