"""Whatever a caller names becomes one open file, or one of few errors; nothing is fetched unless that is allowed."""

from __future__ import annotations

import base64
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from gemsmith.errors import MediaError
from gemsmith.media.settings import MediaSettings
from gemsmith.media.source import NO_ROOM, open_source

DATA = bytes(range(256)) * 5
TEXT = base64.b64encode(DATA).decode()
SMALL = MediaSettings(max_bytes=len(DATA))


def content(source: Any, settings: MediaSettings = SMALL) -> bytes:
    with open_source(source, settings) as (file, size):
        assert os.fstat(file.fileno()).st_size == size  # a real file, which can be sent to another process
        return file.read()


def refusal(source: Any, settings: MediaSettings = SMALL) -> tuple[str, str]:
    with pytest.raises(MediaError) as error, open_source(source, settings):
        pass
    return error.value.code, str(error.value)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes(kind: type) -> None:
    assert content(kind(DATA)) == DATA
    assert content(memoryview(DATA)[::2]) == DATA[::2]


def test_a_path_as_text_or_path(tmp_path: Path) -> None:
    path = tmp_path / "a file"
    path.write_bytes(DATA)
    assert content(path) == content(str(path)) == DATA


@pytest.mark.parametrize(
    "url",
    [
        f"data:image/png;base64,{TEXT}",
        f"data:;base64,{TEXT}",
        f"DATA:image/png;charset=utf-8;name=a%20b;BASE64,{TEXT}",
        f"data:image/png;base64,\n {TEXT[:40]}\r\n\t{TEXT[40:]} \n",
        f"data:image/png;base64,{TEXT.rstrip('=')}",
        "data:image/png;base64," + TEXT.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"),
        "data:image/png," + "".join(f"%{byte:02x}" for byte in DATA),
    ],
)
def test_data_urls(url: str) -> None:
    assert content(url) == DATA


def test_a_data_url_of_plain_text() -> None:
    assert content("data:,hello%20there") == b"hello there" and content("data:,hello") == b"hello"


@pytest.mark.parametrize(
    "url",
    [
        "data:,\ud800",
        "data:;base64,%41\ud800",
        "data:;base64,AAA*",
        "data:;base64,A",
        "data:;base64,AA=A",
        "data:;base64,AAÄA",
        "data:;base64,A-_A",
        "data:x",
    ],
)
def test_data_urls_that_are_none(url: str) -> None:
    code, message = refusal(url)
    assert code == "media_format" and "data: URL" in message


def test_nothing_is_read_beyond_the_limit(tmp_path: Path) -> None:
    longer = DATA + b"x"
    (tmp_path / "longer").write_bytes(longer)
    url = "data:;base64," + base64.b64encode(longer).decode()
    escaped = "data:," + "%00" * len(longer)
    for source in (longer, tmp_path / "longer", url, escaped):
        assert refusal(source) == ("media_too_large", "the file has 1281 bytes, more than the 1280 allowed"), source
    with open_source(longer, SMALL, limit=5000) as (_, size):
        assert size == len(longer)


def test_base64_is_measured_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    import binascii

    monkeypatch.setattr(binascii, "a2b_base64", lambda *_, **__: pytest.fail("decoded"))
    assert refusal("data:;base64," + "A" * 10_000)[0] == "media_too_large"


@pytest.mark.parametrize("source", [b"", "data:,", "data:;base64,"])
def test_nothing_at_all(source: Any) -> None:
    assert refusal(source) == ("media_damaged", "the file is empty")


class Odd:
    """A path that says what it likes."""

    def __init__(self, name: Any):
        self.name = name

    def __fspath__(self) -> Any:
        return self.name


def test_odd_names(tmp_path: Path) -> None:
    path = tmp_path / "höß 猫\n'0x7f00'"
    path.write_bytes(DATA)
    (tmp_path / "link").symlink_to(path)
    assert content(path) == content(Odd(os.fsencode(path))) == content(tmp_path / "link") == DATA


def test_large_files_of_nothing_are_measured_not_read(tmp_path: Path) -> None:
    with open(tmp_path / "sparse", "wb") as sparse:
        sparse.truncate(1 << 40)
    assert refusal(tmp_path / "sparse")[0] == "media_too_large"


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="looks into /proc")
def test_files_that_say_they_are_empty_are_empty() -> None:
    assert refusal("/proc/self/maps") == ("media_damaged", "the file is empty")


def test_no_room_for_another_file_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", full, raising=False)
    assert refusal(b"x") == ("media_decode_failed", NO_ROOM)


def test_only_regular_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "endless").symlink_to("/dev/zero")
    names = ["", "/dev/zero", "no\0name", "A" * 5000, "\ud800", Odd(7), Odd(b"none"), Odd(None)]
    for source in [tmp_path, *(tmp_path / name for name in ("pipe", "none", "loop", "endless")), *names]:
        code, message = refusal(source)
        assert code == "media_not_found" and str(tmp_path) not in message, source


@pytest.mark.parametrize("url", ["http://example.org/a.png", "https://example.org/a.png", "HTTPS://example.org"])
def test_addresses_are_not_fetched_unless_allowed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("looked up"))
    code, message = refusal(url)
    assert code == "media_refused" and "allow_urls=True" in message and "example" not in message


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gopher://a/", "ftp://a/b", "FILE://a", "javascript://x"])
def test_other_schemes_are_refused_even_then(url: str) -> None:
    for settings in (SMALL, MediaSettings(allow_urls=True)):
        assert refusal(url, settings)[0] == "media_refused"


@pytest.mark.parametrize("source", [None, 7, 1.5, ["a"], {"url": "a"}, object()])
def test_other_things_are_named(source: Any) -> None:
    code, message = refusal(source)
    assert code == "media_format" and type(source).__name__ in message
