"""The one function that fetches an address, for callers who allow it. Nothing else here opens a connection.

An address is text that a stranger may have written, and this machine can reach what the stranger cannot: itself, its
neighbours, a cloud's metadata service. So a name is resolved once; every address it has must be a public one; the
connection goes to the address that was checked, not to the name (which may lead elsewhere a moment later); and a
redirect is a new address, checked like the first. Proxies and cookies are not used, and what is compressed is refused.
Only http and https, on their own ports, and TLS certificates are verified. The name of a server is looked up by the
system, within the system's own time limit; everything after that is within ours.
"""

from __future__ import annotations

import io
import ipaddress
import socket
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import SplitResult, urljoin, urlsplit

from gemsmith.errors import MediaError

MOST_REDIRECTS = 3
PORTS = {"http": 80, "https": 443}
REDIRECTS = (301, 302, 303, 307, 308)
BLOCK = 1 << 16  # bytes read at once
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # an IPv4 address in the last 32 bits, for networks that have none

BAD_URL = "the address cannot be read as one; write https://host/path"
USER = "an address with a user name or password in it is not fetched; remove what stands before the @"
PORT = "only the ports of http and https, 80 and 443, are fetched from"
PRIVATE = "the address leads to this machine or a private network, which is not fetched from; give the file itself"
UNREACHABLE = "the address could not be reached; check it, or give the file itself"
TOO_SLOW = "the address did not answer whole within {:g} seconds; give the file itself, or raise timeout_s"
TOO_MANY = f"the address was redirected more than {MOST_REDIRECTS} times"
COMPRESSED = "the address answered with compressed data, which was not asked for; give the file itself"
ENDED_EARLY = "the address ended before all of the file had arrived; try again, or give the file itself"
TOO_LARGE = "the address answers with more than the {} bytes allowed"


class Target(NamedTuple):
    """A server to speak to: the name it was called by, and its addresses, all of them checked."""

    scheme: str
    host: str
    port: int
    addresses: tuple[tuple[socket.AddressFamily, Any], ...]
    path: str

    @property
    def headers(self) -> dict[str, str]:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return {"Host": host + port, "Accept-Encoding": "identity", "User-Agent": "gemsmith", "Connection": "close"}


def fetch(url: str, file: BinaryIO, *, limit: int, timeout_s: float, loopback: bool = False) -> int:
    """Write what `url` answers into `file`; how many bytes. `loopback` lets this machine be asked, for tests alone."""
    clock = Clock(timeout_s)
    for _ in range(MOST_REDIRECTS + 1):
        try:
            found = _asked(_target(url, loopback), file, clock, limit)
            url = url if isinstance(found, int) else urljoin(url, found)
        except TimeoutError as error:
            raise MediaError("media_not_found", TOO_SLOW.format(timeout_s)) from error
        except IncompleteRead as error:
            raise MediaError("media_not_found", ENDED_EARLY) from error
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a header or address that is none
            raise MediaError("media_not_found", UNREACHABLE) from error
        if isinstance(found, int):
            return found
    raise MediaError("media_refused", TOO_MANY)


class Clock:
    """How much is left of the time for all of it."""

    def __init__(self, seconds: float):
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, more than none; `TimeoutError` when they are over."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _target(url: str, loopback: bool) -> Target:
    """Where an address leads, if it may be fetched."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme, 0)
        host = (parts.hostname or "").encode("idna").decode()
    except ValueError as error:  # also UnicodeError
        raise MediaError("media_refused", BAD_URL) from error
    if parts.scheme not in PORTS or not host or not url.isprintable():
        raise MediaError("media_refused", BAD_URL)
    if parts.username is not None or parts.password is not None:
        raise MediaError("media_refused", USER)
    if port not in PORTS.values() and not loopback:
        raise MediaError("media_refused", PORT)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if not all(_may_be_asked(str(address[0]), loopback) for *_, address in found):
        raise MediaError("media_refused", PRIVATE)
    addresses = tuple((family, address) for family, *_, address in found)
    return Target(parts.scheme, host, port, addresses, _path(parts))


def _path(parts: SplitResult) -> str:
    """What to ask the server for, in ASCII."""
    from urllib.parse import quote

    asked = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return quote(asked, safe="/?#[]@!$&'()*+,;=:%~-._")


def _may_be_asked(address: str, loopback: bool) -> bool:
    """Whether a numeric address is a public one, seen through the ways in which IPv6 can carry IPv4."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped or ip.sixtofour or ip.teredo or ip.scope_id:
            return False
        if ip in NAT64:
            ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return (loopback and ip.is_loopback) or (ip.is_global and not ip.is_multicast and not ip.is_reserved)


def _asked(target: Target, file: BinaryIO, clock: Clock, limit: int) -> int | str:
    """Ask one server: the size of what it gave, or where it sends us."""
    with closing(_connected(target, clock)) as sock:
        connection = HTTPConnection(target.host, target.port)
        connection.sock = Timed(sock, clock)
        connection.request("GET", target.path, headers=target.headers)
        response = connection.getresponse()
        if response.status in REDIRECTS and (place := response.getheader("Location")):
            return place
        if response.status != 200:
            raise MediaError("media_not_found", f"the address answered with status {response.status}, not with a file")
        if response.getheader("Content-Encoding", "identity").lower() != "identity":
            raise MediaError("media_refused", COMPRESSED)
        return _written(response, file, limit)


def _written(response: HTTPResponse, file: BinaryIO, limit: int) -> int:
    """The body, block by block, however long the server says it is."""
    if (response.length or 0) > limit:
        raise MediaError("media_too_large", TOO_LARGE.format(limit))
    size = 0
    file.seek(0)
    while block := response.read(BLOCK):
        size += len(block)
        if size > limit:
            raise MediaError("media_too_large", TOO_LARGE.format(limit))
        file.write(block)
    if response.length:
        raise MediaError("media_not_found", ENDED_EARLY)
    return size


def _connected(target: Target, clock: Clock) -> socket.socket:
    """A connection to an address that was checked; with https, to a server that proves its name."""
    failed: OSError = OSError("no address")
    for family, address in target.addresses:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(clock.left())
            sock.connect(address)
            return _proven(sock, target.host, clock) if target.scheme == "https" else sock
        except OSError as error:
            sock.close()
            failed = error
    raise failed


def _proven(sock: socket.socket, host: str, clock: Clock) -> socket.socket:
    import ssl

    sock.settimeout(clock.left())
    return ssl.create_default_context().wrap_socket(sock, server_hostname=host)


class Timed:
    """The part of a socket that `HTTPConnection` uses, where every wait is within the time for all of it."""

    def __init__(self, sock: socket.socket, clock: Clock):
        self._sock, self._clock = sock, clock

    def close(self) -> None:
        """`HTTPConnection` closes what it no longer needs while its response is still to be read; `_asked` does it."""

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(self._clock.left())
        self._sock.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        assert mode == "rb", mode
        return io.BufferedReader(TimedReader(self._sock, self._clock))


class TimedReader(io.RawIOBase):
    """What arrives: a server that sends a byte at a time gets no more time than one that sends nothing."""

    def __init__(self, sock: socket.socket, clock: Clock):
        self._sock, self._clock = sock, clock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._clock.left())
        return self._sock.recv_into(buffer)
