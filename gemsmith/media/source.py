"""What a caller names, opened: a path, bytes, a data: URL, or an address if addresses are allowed.

All of them become one open regular file of known size, which no name leads to unless it had one before: that is what
a decoder is given. Nothing here looks at what the file holds. PIL images and arrays are not files: see `picture`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from gemsmith.errors import MediaError
from gemsmith.files import regular_file
from gemsmith.media.settings import MediaSettings

NO_FILE = "there is no regular file to read under the path that was given; check the path and its permissions"
URLS_OFF = "addresses are not fetched here; give the file itself, or allow it with MediaSettings(allow_urls=True)"
NO_SCHEME = "only http:// and https:// addresses, data: URLs and plain paths are read; give the file itself"
BAD_BASE64 = "the data: URL is not valid base64; encode the file's bytes with the standard alphabet"
BAD_TEXT = "the data: URL holds half a character, which stands for no byte; escape bytes as %00, or use base64"
NO_ROOM = "the system gives this program no further open file, or no memory for one; close some, or raise its limits"
BAD_DATA_URL = "the data: URL has no comma, so it holds no data; write data:image/png;base64,..."

SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
WHITESPACE = str.maketrans("", "", " \t\r\n\f")


@contextmanager
def open_source(source: Any, settings: MediaSettings, *, limit: int | None = None) -> Iterator[tuple[BinaryIO, int]]:
    """The open file of a source, and its size; at most `limit` bytes (`settings.max_bytes` unless told otherwise)."""
    limit = settings.max_bytes if limit is None else limit
    with _opened(source, settings, limit) as (file, size):
        check_size(size, limit)
        if size == 0:
            raise MediaError("media_damaged", "the file is empty")
        yield file, size


def check_size(size: int, limit: int) -> None:
    """Refuse a file larger than its limit."""
    if size > limit:
        raise MediaError("media_too_large", f"the file has {size} bytes, more than the {limit} allowed")


@contextmanager
def _opened(source: Any, settings: MediaSettings, limit: int) -> Iterator[tuple[BinaryIO, int]]:
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = _contiguous(memoryview(source))
    elif isinstance(source, str) and source[:5].lower() == "data:":
        data = memoryview(_data_url(source, limit))
    elif isinstance(source, str) and SCHEME.match(source):
        with unnamed_file() as file:
            yield file, _fetched(source, file, settings, limit)
        return
    elif isinstance(source, (str, os.PathLike)):
        with regular_file(_path(source), lambda _: MediaError("media_not_found", NO_FILE)) as found:
            yield found
        return
    else:
        kind = type(source).__name__
        raise MediaError("media_format", f"a path, bytes, a data: URL or an address was expected, not {kind}")
    check_size(data.nbytes, limit)
    with unnamed_file() as file:
        file.write(data)
        file.flush()
        file.seek(0)
        yield file, data.nbytes


def _path(source: str | os.PathLike[Any]) -> Path:
    try:
        return Path(os.fsdecode(source))
    except TypeError as error:  # what says it is a path, and names none
        raise MediaError("media_not_found", NO_FILE) from error


def _contiguous(data: memoryview) -> memoryview:
    return data if data.c_contiguous else memoryview(data.tobytes())


def _fetched(url: str, file: BinaryIO, settings: MediaSettings, limit: int) -> int:
    """Write what an address answers into `file`; its size."""
    if url[:7].lower() != "http://" and url[:8].lower() != "https://":
        raise MediaError("media_refused", NO_SCHEME)
    if not settings.allow_urls:
        raise MediaError("media_refused", URLS_OFF)
    from gemsmith.media.fetch import fetch

    size = fetch(url, file, limit=limit, timeout_s=settings.timeout_s)
    file.flush()
    file.seek(0)
    return size


@contextmanager
def unnamed_file() -> Iterator[BinaryIO]:
    """A new file for reading and writing that has no name on any disk, gone when it is closed."""
    try:
        opened = _unnamed_file()
    except OSError as error:
        raise MediaError("media_decode_failed", NO_ROOM) from error
    with opened as file:
        yield file


def _unnamed_file() -> BinaryIO:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("media"), "w+b")
    import tempfile

    return tempfile.TemporaryFile()  # type: ignore[return-value,unused-ignore]  # typed as a wrapper, for Windows


def _data_url(url: str, limit: int) -> bytes:
    """The bytes in a data: URL."""
    try:
        return _unpacked(url, limit)
    except UnicodeEncodeError as error:
        raise MediaError("media_format", BAD_TEXT) from error


def _unpacked(url: str, limit: int) -> bytes:
    """The bytes in a data: URL (RFC 2397). What it says of its type is not believed, so it is not read."""
    head, comma, data = url.partition(",")
    if not comma:
        raise MediaError("media_format", BAD_DATA_URL)
    if "%" in data:
        from urllib.parse import unquote_to_bytes

        check_size(len(data) // 3, limit)
        unquoted = unquote_to_bytes(data)
        if not head.rstrip().lower().endswith(";base64"):
            return unquoted
        data = unquoted.decode("latin-1")
    if not head.rstrip().lower().endswith(";base64"):
        return data.encode()
    return _base64(data.translate(WHITESPACE), limit)


def _base64(text: str, limit: int) -> bytes:
    """Base64, with or without the `=` at its end; what it would hold is measured before it is decoded."""
    import binascii

    text = text.rstrip("=")
    check_size(len(text) * 3 // 4, limit)
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError as error:
        raise MediaError("media_format", BAD_BASE64) from error
