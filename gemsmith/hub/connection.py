"""Talking to the Hub: one request at a time over huggingface_hub's session, its failures in a person's words.

A failure that may pass (silence, a cut, a server's own trouble) is `Passing`, for the caller to try again; any other is
a DownloadError. Messages name hosts, never whole addresses: those may carry signatures, as headers carry tokens.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from gemsmith.errors import DownloadError
from gemsmith.hub import places
from gemsmith.hub.known import Wanted, did_you_mean
from gemsmith.version import __version__

MAX_LISTING_BYTES = 16 << 20
LONGEST_PAUSE_S = 60.0
BROKEN = {  # httpx's names -> what happened; all of these may pass
    "ConnectTimeout": "{host} did not answer within {timeout_s:g} s",
    "ReadTimeout": "{host} was silent for {timeout_s:g} s",
    "RemoteProtocolError": "{host} ended the connection in the middle",
    "ReadError": "the connection to {host} broke",
    "DecodingError": "what {host} sent cannot be unpacked",
}


class Passing(Exception):
    """A failure that another attempt may not meet; `pause_s` is how long the server wants to be left alone."""

    def __init__(self, reason: str, pause_s: float = 0.0):
        super().__init__(reason)
        self.pause_s = min(pause_s, LONGEST_PAUSE_S)


@dataclass(frozen=True)
class Patience:
    """When to give up: after `attempts` in a row that bring next to nothing, with pauses that double."""

    attempts: int = 5
    pause_s: float = 1.0
    window_s: float = 60.0  # a server that sends less than `least_bytes` in it stands still
    least_bytes: int = 4096

    def pause(self, attempt: int) -> float:
        """Seconds to wait after an attempt in vain, counted from 1."""
        return min(self.pause_s * 2 ** (attempt - 1), LONGEST_PAUSE_S)


@dataclass(frozen=True)
class Connection:
    """A host that speaks the Hub's language."""

    endpoint: str = field(default_factory=places.endpoint)
    timeout_s: float = field(default_factory=places.timeout_s)
    patience: Patience = Patience()

    @property
    def host(self) -> str:
        """The host's name, for messages."""
        address = public(self.endpoint)[:200]
        try:
            return urlsplit(address).netloc or address
        except ValueError:
            return address

    def listing(self, wanted: Wanted) -> Any:
        """What the Hub says about a repository at a revision, as JSON: its commit and files, with sizes and sums."""
        revision = quote(wanted.revision or "main", safe="")
        url = f"{self.endpoint}/api/models/{wanted.repo}/revision/{revision}?blobs=true"
        with self.get(url, wanted) as response:
            data = bytearray()
            for piece in response.iter_bytes():
                data += piece
                if len(data) > MAX_LISTING_BYTES:
                    raise DownloadError(f"{self.host} describes {wanted.repo} in more than 16 MB; is it the Hub?")
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise DownloadError(
                f"{self.host} answered with something else than the list of files of {wanted.repo}; is there a proxy in"
                " between, or is HF_ENDPOINT wrong?"
            ) from None

    def file_url(self, repo: str, commit: str, name: str) -> str:
        """Where a file of a commit is."""
        return f"{self.endpoint}/{repo}/resolve/{commit}/{quote(name)}"

    @contextmanager
    def get(self, url: str, wanted: Wanted, start: int = 0) -> Iterator[Any]:
        """A response to read from, of status 200 or 206; `start` asks for the bytes from there on."""
        self._check_endpoint()  # first, for huggingface_hub reads the same variable when it is imported
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
        from huggingface_hub.utils import build_hf_headers, get_session  # type: ignore[attr-defined]

        # httpx in older versions, httpx2 in newer: the class that all their exceptions share
        broken: Any = next(base for base in HfHubHTTPError.__mro__ if base.__name__ == "HTTPError")
        headers = build_hf_headers(library_name="gemsmith", library_version=__version__)
        headers["Accept-Encoding"] = "identity"  # a packed file could not be gone on with
        if start:
            headers["Range"] = f"bytes={start}-"
        try:
            with ExitStack() as stack:
                try:
                    request = get_session().stream("GET", url, headers=headers, timeout=self.timeout_s)
                    response = stack.enter_context(request)
                except (OfflineModeIsEnabled, broken):
                    raise
                except Exception as error:  # not quoted, for it may hold the header
                    raise DownloadError(f"cannot ask {self.host}: is HF_ENDPOINT or HF_TOKEN mistyped?") from error
                self._check(response, wanted)
                yield response
        except OfflineModeIsEnabled:
            raise offline_error(str(wanted)) from None
        except broken as error:
            raise self._told(error) from error

    def _check_endpoint(self) -> None:
        """Raise for an address that is none: a port out of range, half a bracket."""
        try:
            _ = urlsplit(self.endpoint).port
        except ValueError:  # not quoted, for it may hold a password
            raise DownloadError(f"cannot ask {self.host}: is HF_ENDPOINT or HF_TOKEN mistyped?") from None

    def _check(self, response: Any, wanted: Wanted) -> None:
        """Raise unless a response has what was asked for."""
        status, host = response.status_code, response.url.host
        if status in (408, 425, 429) or status >= 500:
            after = response.headers.get("Retry-After", "")
            why = "has had too many requests" if status == 429 else "has trouble"
            raise Passing(f"{host} {why} (status {status})", float(after) if is_number(after) else 0.0)
        if status == 416:
            raise Passing(f"{host} has no bytes there (status 416)")
        if status not in (200, 206):
            raise refusal(status, response.headers, host, public(self.endpoint), wanted)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise DownloadError(
                f"{host} answered with a web page instead of {wanted.repo}: this network may want you to sign in first"
                " (open any page in a browser), or HF_ENDPOINT is wrong"
            )

    def _told(self, error: Exception) -> Exception:
        """What a broken connection means to a person."""
        kind, host = type(error).__name__, self.host
        if kind in BROKEN:
            return Passing(BROKEN[kind].format(host=host, timeout_s=self.timeout_s))
        if kind == "TooManyRedirects":
            return DownloadError(f"{host} sends requests round in a circle; try again later, or check HF_ENDPOINT")
        if "CERTIFICATE" in str(error):
            return DownloadError(
                f"the certificate of {host} is not trusted: this network may want you to sign in first, or a company's"
                " proxy stands in between (then set SSL_CERT_FILE to its certificate)"
            )
        if kind in ("ConnectError", "ProxyError"):
            return Passing(f"cannot reach {host} ({_cause(error)})")
        if kind in ("UnsupportedProtocol", "LocalProtocolError", "InvalidURL"):
            return DownloadError(f"cannot ask {host}: is HF_ENDPOINT or HF_TOKEN mistyped, or did it redirect astray?")
        return Passing(f"the connection to {host} failed ({kind})")


def public(endpoint: str) -> str:
    """An endpoint for messages: without a name and password that it may have."""
    scheme, mark, rest = endpoint.partition("://") if "://" in endpoint else ("", "", endpoint)
    shown = scheme + mark + rest.rpartition("@")[2]
    return shown if shown.isprintable() else ascii(shown)


def is_number(header: str) -> bool:
    """Whether a header is a number that Python reads as one."""
    return header.isascii() and header.isdecimal() and len(header) < 20


def refusal(status: int, headers: Any, host: str, endpoint: str, wanted: Wanted) -> DownloadError:
    """Why the Hub gives nothing, and what to do about it."""
    code, repo = headers.get("X-Error-Code", ""), wanted.repo
    page = f"{endpoint}/{repo}"
    if code == "GatedRepo" or (status == 403 and not code):
        return DownloadError(
            f"{repo} is only for those who accepted its licence (status {status}): do that on {page}, make a token with"
            f" read access on {endpoint}/settings/tokens, and set HF_TOKEN to it"
        )
    if code == "RevisionNotFound":
        return DownloadError(f"{repo} has no revision {wanted.revision!r}; its branches and commits are on {page}")
    if code == "EntryNotFound":
        return DownloadError(f"{host} lists a file of {repo} that it does not have; try again later")
    if status in (401, 404):
        return DownloadError(
            f"{host} has no model {repo!r}, or only for some (status {status})"
            + (did_you_mean(repo) or f"; check the name on {endpoint}/models, and set HF_TOKEN if it is private")
        )
    return DownloadError(f"{host} refused {repo} (status {status}); try again later")


def offline_error(name: str) -> DownloadError:
    """A model is not here, and may not be fetched."""
    return DownloadError(
        f"{name[:200]!r} is not on this machine, and nothing is fetched offline (--offline, or HF_HUB_OFFLINE is set);"
        f" to fetch it: gemsmith pull {name[:200]}"
    )


def _cause(error: Exception) -> str:
    """The system's own words for why there is no connection, without an address in them."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = inner.__cause__ or inner.__context__
    return type(error).__name__
