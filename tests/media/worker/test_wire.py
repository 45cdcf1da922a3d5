"""Frames between parent and child: what arrives is what was sent, and what no honest child sends is recognised."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gemsmith.errors import MediaError
from gemsmith.media.settings import MediaSettings
from gemsmith.media.worker import expected, wire
from gemsmith.media.worker.pool import Refusal, values_of
from gemsmith.media.worker.texts import TEXTS, failed, refused

Pair = tuple[socket.socket, socket.socket]

NONSENSE = {
    "length beyond all": b"\xff\xff\xff\xff",
    "no JSON": b"{",
    "no text": b"\xff\xfe",
    "no object": b"[1]",
    "nothing at all": b"{}",
    "no list of arrays": b'{"arrays": 5}',
    "a terabyte": b'{"arrays": [{"dtype": "uint8", "shape": [1099511627776]}]}',
    "an overflow": b'{"arrays": [{"dtype": "uint8", "shape": [1099511627776, 1099511627776, 0]}]}',
    "negative": b'{"arrays": [{"dtype": "uint8", "shape": [-1]}]}',
    "a truth for a size": b'{"arrays": [{"dtype": "uint8", "shape": [true]}]}',
    "objects": b'{"arrays": [{"dtype": "object", "shape": [1]}]}',
    "no shape": b'{"arrays": [{"dtype": "uint8"}]}',
    "too many": b'{"arrays": [' + b"{}," * 2000 + b"{}]}",
    "deep": b"[" * 100_000,
}


@pytest.fixture
def pair() -> Iterator[Pair]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


def received(sock: socket.socket, most_bytes: int = 1 << 30) -> tuple[dict[str, object], list[np.ndarray]]:
    """An answer as the parent takes it."""
    deadline = time.monotonic() + 20
    header = wire.receive(sock, deadline)
    return header, wire.receive_arrays(sock, header, most_bytes, deadline)


@pytest.mark.parametrize("dtype", wire.DTYPES)
def test_arrays_arrive_as_they_were(pair: Pair, dtype: str) -> None:
    sent = [np.arange(24).reshape(2, 3, 4).astype(dtype), np.zeros((0, 3), dtype), np.arange(9).astype(dtype)[::-2]]
    wire.send_arrays(pair[0], {"values": {"x": 1.5}}, sent)
    header, arrays = received(pair[1])
    assert header["values"] == {"x": 1.5}
    assert [(a.dtype, a.shape, a.tolist()) for a in arrays] == [(a.dtype, a.shape, a.tolist()) for a in sent]


def test_arrays_larger_than_the_socket_arrive(pair: Pair) -> None:
    sent = np.random.default_rng(0).integers(0, 255, 4 << 20, dtype=np.uint8)
    sender = threading.Thread(target=wire.send_arrays, args=(pair[0], {}, [sent]))
    sender.start()
    _, arrays = received(pair[1])
    sender.join()
    assert np.array_equal(arrays[0], sent)


@pytest.mark.parametrize("array", [np.zeros(1, object), np.zeros(1, complex), np.zeros(2, ">i4"), np.zeros(1, "U3")])
def test_other_types_do_not_travel(pair: Pair, array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="do not travel"):
        wire.send_arrays(pair[0], {}, [array])


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_is_recognised(pair: Pair, what: str) -> None:
    text = NONSENSE[what]
    pair[0].sendall(text if what == "length beyond all" else len(text).to_bytes(4, "big") + text)
    pair[0].close()
    with pytest.raises(wire.Nonsense):
        received(pair[1], 1 << 20)


def test_more_than_was_allowed_is_nonsense(pair: Pair) -> None:
    wire.send_arrays(pair[0], {}, [np.zeros(1000, np.uint8), np.zeros(1000, np.uint8)])
    with pytest.raises(wire.Nonsense):
        received(pair[1], 1999)


@pytest.mark.parametrize("cut", [1, 3, 6, -1])
def test_an_end_in_the_midst(pair: Pair, cut: int) -> None:
    wire.send_arrays(pair[0], {}, [np.zeros(10, np.uint8)])
    frame = pair[1].recv(4096)
    left, right = socket.socketpair()
    with left, right:
        left.sendall(frame[:cut])
        left.close()
        with pytest.raises(EOFError):
            received(right)


def test_a_deadline(pair: Pair) -> None:
    pair[0].sendall(b"\0")
    with pytest.raises(TimeoutError):
        wire.receive(pair[1], time.monotonic() + 0.01)


def test_a_file_travels(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"content")
    with open(tmp_path / "x", "rb") as file:
        wire.send(pair[0], wire.encoded({"job": "j"}), fd=file.fileno())
        header, fd = wire.receive_with_file(pair[1])
        assert fd is not None and fd != file.fileno()
        with os.fdopen(fd, "rb") as same:
            assert (header, same.read()) == ({"job": "j"}, b"content")


def test_who_dies_with_the_whole_frame_in_hand_has_got_it(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    send_fds = socket.send_fds

    def deadly(*args: Any) -> int:
        sent = send_fds(*args)
        pair[1].close()
        return sent

    monkeypatch.setattr(socket, "send_fds", deadly)
    wire.send(pair[0], wire.encoded({"job": "any"}), deadline=time.monotonic() + 30)


def test_any_string_travels(pair: Pair) -> None:
    header = {"label": "猫 \U0001f600 \ud800 \0 \u2028"}
    wire.send(pair[0], wire.encoded(header))
    assert wire.receive(pair[1], time.monotonic() + 20) == header


def test_a_header_has_a_limit() -> None:
    with pytest.raises(ValueError, match="limit"):
        wire.encoded({"x": "x" * wire.MAX_HEADER})


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"values": 1, "resident": 1},
        {"values": {}},
        {"values": {}, "resident": "much"},
        {"refused": "rm", "message": "x", "resident": 1},
        {"refused": "media_damaged", "message": 7, "resident": 1},
        {"missing": "evil", "resident": 1},
        {"failed": "laughing", "resident": 1},
    ],
)
def test_answers_that_mean_nothing(header: dict[str, object]) -> None:
    with pytest.raises(MediaError) as caught:
        values_of(header, MediaSettings())
    assert str(caught.value) == TEXTS["nonsense"]


def test_a_refusal_keeps_its_process() -> None:
    with pytest.raises(Refusal) as caught:
        values_of({"refused": "media_too_large", "message": "5 pages", "resident": 7}, MediaSettings())
    assert str(caught.value.error) == "5 pages" and caught.value.resident == 7


@pytest.mark.parametrize(
    "words",
    ["see /etc/passwd", "at 0x7f00dead", "two\nlines", "<b>bold</b>", 'say "x"', "x" * 500, "\x1b[2J", "", "a\\b"],
)
def test_odd_words_of_a_child_are_not_shown(words: str) -> None:
    assert str(refused("media_damaged", words)) == TEXTS["damaged"]


def test_plain_words_of_a_child_are_shown() -> None:
    words = "a picture of 5 × 6 pixels (30 in all) is more than the limit's 20; it’s 50% – too much…"
    assert str(refused("media_damaged", words)) == words


def test_every_text_is_one_that_a_child_could_say() -> None:
    for how in TEXTS:
        error = failed(how, seconds=1, megabytes=2)
        assert str(refused(error.code, str(error))) == str(error)
    assert len(set(TEXTS.values())) == len(TEXTS)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (0, 3, 3), (2, 3, 3, 1)])
def test_an_unexpected_shape_is_nonsense(shape: tuple[int, ...]) -> None:
    with pytest.raises(MediaError) as caught:
        expected(np.zeros(shape, np.uint8), "uint8", None, 3, 3)
    assert str(caught.value) == TEXTS["nonsense"]


def test_an_expected_array_passes() -> None:
    array = np.zeros((2, 3, 3), np.uint8)
    assert expected(array, "uint8", None, 3, 3) is array
    with pytest.raises(MediaError):
        expected(array, "float32", None, 3, 3)
