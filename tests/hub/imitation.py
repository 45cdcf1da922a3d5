"""An imitation of the Hugging Face Hub on loopback, as honest or as faulty as a test wants it.

Speaks what is asked of the real one: a model's listing with blobs, `resolve` with its X- headers and the redirect of
large files to another address, HEAD and Range. It counts every byte it sends.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = 10_000  # bytes from which on a file is kept apart (LFS)
PIECE = 16 << 10


@cache
def git_sum(data: bytes) -> str:
    """What git calls a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@cache
def hub_sum(data: bytes) -> str:
    """The sum under which the Hub lists a file."""
    return hashlib.sha256(data).hexdigest() if len(data) >= LARGE else git_sum(data)


@dataclass
class Faults:
    """What goes wrong; counts and lists are used up."""

    cuts: list[int] = field(default_factory=list)  # end a large file's body when it has come to this position
    corrupt: int = 0  # so many times, a large file has one wrong byte
    corrupt_at: float = 0.5
    stall_at: int | None = None  # from this position on nothing comes, for `stall_s`
    stall_s: float = 30.0
    drip: bool = False  # a byte at a time, forever
    ignore_range: bool = False  # 200 and everything
    shift_range: int = 0  # another part than asked for
    statuses: list[int] = field(default_factory=list)  # instead of a large file's body
    api_statuses: list[int] = field(default_factory=list)  # instead of a listing
    error_code: str = ""  # X-Error-Code beside a status
    retry_after: str = ""
    html: bool = False  # a captive portal: every answer is a page
    file_html: bool = False  # the same, for files alone
    loop: bool = False  # redirects in a circle
    gzipped: bool = False  # packs although nobody asked for it
    linked_etag: str = ""  # another sum than the listing has
    longer: bytes = b""  # follows a large file's body, and is counted in its length
    listing: Callable[[dict[str, Any]], Any] | None = None  # lies about the files
    bytes_per_s: float = 0.0
    refuse: bool = False  # closes connections without a word


@dataclass(frozen=True)
class Seen:
    """A request, and how many bytes of body it was sent."""

    path: str
    start: int
    sent: int
    host: str
    authorization: str | None


class Imitation(ThreadingHTTPServer):
    """The server; a context in which it runs."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos: dict[str, dict[str, bytes]] = {}
        self.commits: dict[str, str] = {}
        self.faults = Faults()
        self._seen: list[Seen] = []
        self.num_active = 0
        self.lock = threading.Lock()
        self.cdn = self.url.replace("127.0.0.1", "localhost")  # where large files are: another host, for all one knows
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def seen(self) -> list[Seen]:
        """All requests so far; waits for those that are still being answered, whose clients may have read all."""
        deadline = time.monotonic() + 10
        while self.num_active and time.monotonic() < deadline:
            time.sleep(0.001)
        return self._seen

    def forget(self) -> None:
        """Begin to count anew."""
        self.seen.clear()

    def add(self, repo: str, files: dict[str, bytes]) -> str:
        """Commit files to a repository; return the commit."""
        self.repos[repo] = dict(files)
        text = json.dumps([(name, hub_sum(data)) for name, data in sorted(files.items())])
        self.commits[repo] = hashlib.sha1(text.encode()).hexdigest()
        return self.commits[repo]

    def __enter__(self) -> Imitation:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.faults.stall_s = 0.0
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves in the middle is no news."""

    def fetched(self, data: bytes) -> list[Seen]:
        """The requests for a large file's content."""
        return [seen for seen in self.seen if seen.path == f"/cdn/{hub_sum(data)}"]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Imitation

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.num_active += 1
        try:
            self._respond()
        finally:
            with self.server.lock:
                self.server.num_active -= 1

    def _respond(self) -> None:
        path = urlsplit(self.path).path
        faults = self.server.faults
        if faults.refuse:
            self.close_connection = True
            return
        if faults.html or (faults.file_html and "/resolve/" in path):
            self._answer(200, b"<html>Welcome to our hotel</html>", {"Content-Type": "text/html"})
        elif faults.loop:
            self._answer(302, b"", {"Location": self.path})
        elif path.startswith("/api/models/"):
            self._listing(path.removeprefix("/api/models/"))
        elif "/resolve/" in path:
            self._resolve(path)
        elif path.startswith("/cdn/"):
            self._content(path.removeprefix("/cdn/"))
        else:
            self._refuse(404, "")

    def _listing(self, path: str) -> None:
        repo, _, revision = path.partition("/revision/")
        faults, server = self.server.faults, self.server
        with server.lock:
            status = faults.api_statuses.pop(0) if faults.api_statuses else 200
        if status != 200:
            return self._refuse(status, faults.error_code)
        if repo not in server.repos:
            return self._refuse(404 if self.headers.get("Authorization") else 401, "RepoNotFound")
        if unquote(revision) not in ("main", server.commits[repo]):
            return self._refuse(404, "RevisionNotFound")
        siblings = []
        for name, data in server.repos[repo].items():
            entry: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": git_sum(data)}
            if len(data) >= LARGE:
                entry["lfs"] = {"sha256": hub_sum(data), "size": len(data), "pointerSize": 130}
            siblings.append(entry)
        listing: Any = {"id": repo, "sha": server.commits[repo], "private": False, "siblings": siblings}
        if faults.listing is not None:
            listing = faults.listing(listing)
        body = listing if isinstance(listing, bytes) else json.dumps(listing).encode()
        self._answer(200, body, {"Content-Type": "application/json"})

    def _resolve(self, path: str) -> None:
        repo, _, rest = path.lstrip("/").partition("/resolve/")
        _, _, name = rest.partition("/")
        data = self.server.repos.get(repo, {}).get(unquote(name))
        if data is None:
            return self._refuse(404, "EntryNotFound")
        commit = self.server.commits[repo]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{git_sum(data)}"', "Content-Type": "text/plain"}
        if len(data) < LARGE:
            return self._answer(200, data, headers)
        linked = self.server.faults.linked_etag or hub_sum(data)
        headers |= {"X-Linked-Etag": f'"{linked}"', "X-Linked-Size": str(len(data))}
        self._answer(302, b"", headers | {"Location": f"{self.server.cdn}/cdn/{hub_sum(data)}?Signature=secret"})

    def _content(self, digest: str) -> None:
        server, faults = self.server, self.server.faults
        data = next((d for files in server.repos.values() for d in files.values() if hub_sum(d) == digest), None)
        if data is None:
            return self._refuse(404, "")
        with server.lock:
            status = faults.statuses.pop(0) if faults.statuses else 0
            cut = faults.cuts.pop(0) if faults.cuts else None
            wrong = faults.corrupt > 0
            faults.corrupt -= wrong
        if status:
            return self._refuse(status, faults.error_code)
        if wrong:
            at = int(len(data) * faults.corrupt_at)
            data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        data += faults.longer
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and not faults.ignore_range else 0
        headers = {"Content-Type": "binary/octet-stream", "ETag": '"of-the-store"', "Accept-Ranges": "bytes"}
        if start >= len(data):
            return self._refuse(416, "")
        if asked and not faults.ignore_range:
            shown = start + faults.shift_range
            headers["Content-Range"] = f"bytes {shown}-{len(data) - 1}/{len(data)}"
        body = data[start:]
        if faults.gzipped:
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        self._answer(206 if "Content-Range" in headers else 200, body, headers, start, cut)

    def _refuse(self, status: int, code: str) -> None:
        headers = {"X-Error-Code": code} if code else {}
        if self.server.faults.retry_after:
            headers["Retry-After"] = self.server.faults.retry_after
        self._answer(status, b"{}", headers)

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str], start: int = 0, cut: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        sent = 0
        pieces = self._send(body, start, cut) if self.command != "HEAD" else ()
        try:
            for length in pieces:
                sent += length
        finally:
            path = urlsplit(self.path).path
            seen = Seen(path, start, sent, self.headers["Host"], self.headers.get("Authorization"))
            with self.server.lock:
                self.server._seen.append(seen)

    def _send(self, body: bytes, start: int, cut: int | None) -> Iterator[int]:
        """Send the body as the faults have it, piece by piece; yields their lengths."""
        faults, is_file = self.server.faults, self.path.startswith("/cdn/")
        end = len(body) if cut is None else max(0, min(len(body), cut - start))
        stall = faults.stall_at if is_file else None
        sent = 0
        while sent < end:
            step = 1 if faults.drip and is_file else min(PIECE, end - sent)
            if stall is not None and start + sent + step > stall:
                step = max(0, stall - start - sent)
            if step:
                self.wfile.write(body[sent : sent + step])
                self.wfile.flush()
                sent += step
                yield step
            if stall is not None and start + sent >= stall:
                self._stall()
                break
            if faults.bytes_per_s and is_file:
                time.sleep(step / faults.bytes_per_s)
            if faults.drip and is_file:
                time.sleep(0.01)
        if sent < len(body):
            self.close_connection = True

    def _stall(self) -> None:
        until = time.monotonic() + self.server.faults.stall_s
        while time.monotonic() < until and self.server.faults.stall_s:
            time.sleep(0.02)
