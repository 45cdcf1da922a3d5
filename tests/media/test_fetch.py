"""Fetching an address: only public servers, only what was checked, never more bytes or seconds than allowed.

The servers here are threads on this machine, which `loopback=True` lets through.
"""

from __future__ import annotations

import io
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gemsmith.errors import MediaError
from gemsmith.media.fetch import UNREACHABLE, fetch

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
Talk = Callable[[socket.socket], None]


class Server:
    """Answers each connection in turn with the next of its answers (the last again and again)."""

    def __init__(self, *answers: bytes | Talk, context: ssl.SSLContext | None = None):
        self.answers, self.asked, self._context = list(answers), [], context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        self.asked: list[bytes]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
                if self._context:
                    connection = self._context.wrap_socket(connection, server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            with connection:
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                try:
                    self.asked.append(connection.recv(10_000))
                    connection.sendall(answer) if isinstance(answer, bytes) else answer(connection)
                except OSError:
                    continue  # who asked has gone

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(*answers: bytes | Talk, **options: Any) -> Server:
        servers.append(Server(*answers, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every address a socket was connected to."""
    found: list[Any] = []
    connect = socket.socket.connect

    def noted(self: socket.socket, address: Any) -> None:
        found.append(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    return found


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Names lead to these addresses, the next answer at each question; the names that were asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        addresses = answers[min(len(asked), len(answers) - 1)]
        asked.append(host)
        kinds = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [(kind, 1, 6, "", (address, port)) for kind, address in zip(kinds, addresses, strict=True)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def got(url: str, limit: int = 1000, timeout_s: float = 20.0) -> bytes:
    file = io.BytesIO()
    size = fetch(url, file, limit=limit, timeout_s=timeout_s, loopback=True)
    assert size == len(file.getvalue())
    return file.getvalue()


def refused(url: str, loopback: bool = False, limit: int = 1000, timeout_s: float = 20.0) -> tuple[str, str]:
    with pytest.raises(MediaError) as error:
        fetch(url, io.BytesIO(), limit=limit, timeout_s=timeout_s, loopback=loopback)
    assert "127.0" not in str(error.value) and "example" not in str(error.value)
    return error.value.code, str(error.value)


def test_what_a_server_gives(serve: Callable[..., Server]) -> None:
    server = serve(
        OK + b"Content-Length: 5\r\n\r\nhello and more",
        CHUNKED + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        OK + b"\r\nhello",
    )
    assert [got(f"{server.url}/ä b?q=1") for _ in range(3)] == [b"hello"] * 3
    head = server.asked[0].decode().split("\r\n")
    assert head[0] == "GET /%C3%A4%20b?q=1 HTTP/1.1"
    assert f"Host: 127.0.0.1:{server.port}" in head and "Accept-Encoding: identity" in head
    assert not any(line.lower().startswith(("cookie", "authorization")) for line in head)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "[::1]", "localhost", "0x7f.1", "2130706433", "0", "0.0.0.0"),
        *("169.254.169.254", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "224.0.0.1", "255.255.255.255"),
        *("[::ffff:127.0.0.1]", "[::ffff:8.8.8.8]", "[fe80::1]", "[fc00::1]", "[ff02::1]", "[::]"),
        *("[64:ff9b::10.0.0.1]", "[2002:7f00:1::]", "[2001:0:1::1]"),
    ],
)
def test_private_addresses_are_refused(host: str, dialled: list[Any]) -> None:
    code, message = refused(f"http://{host}/")
    assert code == "media_refused" and "private network" in message and dialled == []


def test_public_addresses_are_let_through(monkeypatch: pytest.MonkeyPatch, dialled: list[Any]) -> None:
    resolving(monkeypatch, ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
    assert refused("http://example.org/")[0] == "media_not_found"  # the tests' guard lets none of them be reached
    assert [address[0] for address in dialled] == ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"]


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch, dialled: list[Any]) -> None:
    resolving(monkeypatch, ["93.184.216.34", "10.0.0.1"])
    assert "private network" in refused("http://example.org/")[1] and dialled == []


def test_a_name_is_resolved_once(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, dialled: list[Any]
) -> None:
    server = serve(OK + b"\r\nhello")
    asked = resolving(monkeypatch, ["127.0.0.1"], ["10.0.0.1"])
    assert got(f"http://rebinding.example:{server.port}/") == b"hello"
    assert asked == ["rebinding.example"] and dialled == [("127.0.0.1", server.port)]
    assert f"Host: rebinding.example:{server.port}".encode() in server.asked[0]


def test_names_in_other_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = resolving(monkeypatch, ["10.0.0.1"])
    assert "private network" in refused("http://bücher.example/")[1]
    assert "private network" in refused("http://xn--bcher-kva.example/")[1]
    assert asked == ["xn--bcher-kva.example"] * 2


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://user@example.org/", "user name"),
        ("http://a:b@example.org/", "user name"),
        ("http://8.8.8.8@127.0.0.1/", "user name"),
        ("http://example.org:22/", "ports"),
        ("https://example.org:8080/", "ports"),
        ("http://example.org:99999/", "cannot be read"),
        ("http://example.org:x/", "cannot be read"),
        ("http:///path", "cannot be read"),
        ("http://a..b/", "cannot be read"),
        ("http://[::1/", "cannot be read"),
        ("http://example.org/a\r\nX: y", "cannot be read"),
        ("file:///etc/passwd", "cannot be read"),
        ("gopher://example.org/", "cannot be read"),
        ("//example.org/", "cannot be read"),
    ],
)
def test_addresses_refused_as_they_are_written(url: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("looked up"))
    code, message = refused(url)
    assert code == "media_refused" and words in message


def test_redirects_are_followed_three_times(serve: Callable[..., Server]) -> None:
    hop = b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n"
    server = serve(hop, hop, hop, OK + b"\r\nhello")
    assert got(server.url) == b"hello"
    assert [asked.split()[1] for asked in server.asked] == [b"/", b"/next", b"/next", b"/next"]
    endless = serve(hop)
    assert refused(endless.url, loopback=True) == ("media_refused", "the address was redirected more than 3 times")
    assert len(endless.asked) == 4


def test_a_redirect_to_no_address_is_refused(serve: Callable[..., Server]) -> None:
    server = serve(b"HTTP/1.1 301 Moved\r\nLocation: http://[bad/\r\n\r\n")
    assert refused(server.url, loopback=True) == ("media_not_found", UNREACHABLE)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (b"http://10.0.0.1/", "private"),
        (b"http://[::ffff:127.0.0.1]/", "private"),
        (b"file:///etc/passwd", "cannot be read"),
        (b"gopher://127.0.0.1/", "cannot be read"),
        (b"http://a@127.0.0.1/", "user name"),
    ],
)
def test_a_redirect_is_checked_again(
    place: bytes, words: str, serve: Callable[..., Server], dialled: list[Any]
) -> None:
    server = serve(b"HTTP/1.1 301 Moved\r\nLocation: " + place + b"\r\n\r\n")
    code, message = refused(server.url, loopback=True)
    assert code == "media_refused" and words in message and dialled == [("127.0.0.1", server.port)]


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (OK + b"Content-Length: 10000000000\r\n\r\nabc", "media_too_large", "1000 bytes"),
        (OK + b"\r\n" + b"a" * 1001, "media_too_large", "1000 bytes"),
        (
            CHUNKED + b"7d0\r\n" + b"a" * 2000 + b"\r\n0\r\n\r\n",
            "media_too_large",
            "1000 bytes",
        ),
        (OK + b"Content-Length: 10\r\n\r\nabc", "media_not_found", "ended before"),
        (CHUNKED + b"5\r\nab", "media_not_found", "ended before"),
        (OK + b"Content-Encoding: gzip\r\n\r\nabc", "media_refused", "compressed"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "media_not_found", "status 404"),
        (b"HTTP/1.1 302 Found\r\n\r\n", "media_not_found", "status 302"),
        (b"HTTP/1.1 206 Partial Content\r\n\r\nabc", "media_not_found", "status 206"),
        (b"nonsense\r\n\r\n", "media_not_found", "could not be reached"),
        (OK + b"X: " + b"a" * 100_000 + b"\r\n\r\n", "media_not_found", "could not be reached"),
        (b"", "media_not_found", "could not be reached"),
    ],
)
def test_answers_that_are_no_file(answer: bytes, code: str, words: str, serve: Callable[..., Server]) -> None:
    found = refused(serve(answer).url, loopback=True)
    assert found[0] == code and words in found[1]


def drip(head: bytes) -> Talk:
    def talk(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(200):
            connection.sendall(b"a")
            time.sleep(0.05)

    return talk


@pytest.mark.slow
@pytest.mark.parametrize("head", [OK + b"\r\n", OK + b"Content-Length: 900\r\n\r\n", OK + b"X: ", b""])
def test_a_byte_now_and_then_takes_no_more_time_than_silence(head: bytes, serve: Callable[..., Server]) -> None:
    start = time.monotonic()
    assert "within 0.3 seconds" in refused(serve(drip(head)).url, loopback=True, timeout_s=0.3)[1]
    assert time.monotonic() - start < 5


def test_nobody_there(serve: Callable[..., Server]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    assert refused(f"http://127.0.0.1:{port}/", loopback=True)[0] == "media_not_found"


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make a certificate")
def test_certificates_are_verified(
    serve: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=name.example"
    made = [*command.split(), "-addext", "subjectAltName=DNS:name.example", "-out", str(pem), "-keyout", str(key)]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    server = serve(OK + b"\r\nhello", context=context)
    resolving(monkeypatch, ["127.0.0.1"])
    assert "could not be reached" in refused(f"https://name.example:{server.port}/", loopback=True)[1]

    monkeypatch.setenv("SSL_CERT_FILE", str(pem))  # a system that trusts this certificate, for this name alone
    assert got(f"https://name.example:{server.port}/") == b"hello"
    assert "could not be reached" in refused(f"https://other.example:{server.port}/", loopback=True)[1]
    assert len(server.asked) == 1
