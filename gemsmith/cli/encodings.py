"""Bytes of unknown origin to text: which encoding a document is in, and whether that is known or guessed.

In this order: a byte-order mark; UTF-16 and UTF-32 without one, known by their zeros; strict UTF-8; then the encodings
below, each taken only where what it yields looks like its language. Western Europe's comes last, for nearly every byte
means something in it. Bytes that are no text at all are named by what they look like.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass

from gemsmith.errors import GemsmithError

MARKS = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
PDF = "a PDF; its pages go with --pdf, in a chat with /pdf"
PICTURE = "a picture ({}); pictures go with --image, in a chat with /image"
SOUND = "a sound ({}); sounds go with --audio, in a chat with /audio"
CLIP = "a clip; clips go with --video, in a chat with /video"
BINARY = (
    (b"%PDF-", PDF),
    (b"\x89PNG\r\n", PICTURE.format("PNG")),
    (b"\xff\xd8\xff", PICTURE.format("JPEG")),
    (b"GIF8", PICTURE.format("GIF")),
    (b"PK\x03\x04", "a ZIP archive, as .docx, .xlsx and .odt are; save it as text first"),
    (b"\x1f\x8b", "gzip-compressed data; unpack it first"),
    (b"BZh", "bzip2-compressed data; unpack it first"),
    (b"\xfd7zXZ", "xz-compressed data; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "Zstandard-compressed data; unpack it first"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program for Windows"),
    (b"GGUF", "a model (GGUF)"),
    (b"SQLite format 3", "an SQLite database"),
    (b"ID3", SOUND.format("MP3")),
    (b"OggS", SOUND.format("Ogg")),
    (b"fLaC", SOUND.format("FLAC")),
    (b"\x1aE\xdf\xa3", CLIP),
    (b"\xd0\xcf\x11\xe0", "an old Office document; save it as text first"),
    (b"{\\rtf", "rich text (RTF); save it as plain text first"),
)
CONTROLS = frozenset(map(chr, range(32))) - set("\t\n\r\f\b\x1b") | {"\x7f"}  # \b and \x1b stand in logs
# what every page of Chinese has, in simplified and in traditional characters
SIMPLIFIED = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年，。、"
TRADITIONAL = "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年，。、"


@dataclass(frozen=True)
class Decoded:
    """A document's text. `is_guess` where the bytes could mean something else."""

    text: str
    encoding: str
    is_guess: bool = False


def decode(data: bytes, name: str, encoding: str | None = None) -> Decoded:
    """The text in `data`, in the encoding that is given or found; GemsmithError if it is no text."""
    if encoding is not None:
        return _as_told(data, name, encoding)
    for mark, found in MARKS:
        if data.startswith(mark):
            return _certain(data[len(mark) :], name, found)
    if what := looks_like(data):
        raise GemsmithError(f"{name} is no text: it looks like {what}")
    if wide := _wide(data):
        return wide
    try:
        return _checked(Decoded(data.decode("utf-8"), "utf-8"), name)
    except UnicodeDecodeError:
        return _checked(_guessed(data, name), name)


def looks_like(data: bytes) -> str | None:
    """What kind of binary file begins like this; None if it may be text."""
    if data[:4] == b"RIFF" and data[8:12] in (b"WAVE", b"WEBP", b"AVI "):
        return {b"WAVE": SOUND.format("WAV"), b"WEBP": PICTURE.format("WebP")}.get(data[8:12], CLIP)
    if data[4:8] == b"ftyp":
        return "a clip or a sound (MP4); those go with --video or --audio, in a chat with /video or /audio"
    return next(
        (what for magic, what in BINARY if data.startswith(magic) and (len(magic) > 3 or not _is_ascii(data))), None
    )


def sense_of(data: bytes) -> str | None:
    """ "image", "pdf", "audio" or "video" where the first bytes are surely of that; None where they may be of several.

    A GIF or WebP may be a clip, an Ogg or MP4 file one or a sound.
    """
    what = looks_like(data) or ""
    if data.startswith((b"GIF8", b"OggS")) or data[8:12] == b"WEBP":
        return None
    return next((sense for sense, told in SENSES.items() if what.startswith(told)), None)


SENSES = {"pdf": "a PDF", "image": "a picture (", "audio": "a sound (", "video": "a clip;"}


def _is_ascii(data: bytes) -> bool:
    """A text may begin with MZ or ID3; a program or sound does not go on in letters."""
    return data[:1024].isascii() and b"\0" not in data[:1024]


def _as_told(data: bytes, name: str, encoding: str) -> Decoded:
    try:
        info = codecs.lookup(encoding)
    except (LookupError, ValueError):
        raise GemsmithError(f"there is no encoding {encoding!r}; some are utf-8, cp1252, shift_jis, gb18030") from None
    if not getattr(info, "_is_text_encoding", True):
        raise GemsmithError(f"{encoding!r} is no encoding of text")
    return _certain(data, name, info.name)


def _certain(data: bytes, name: str, encoding: str) -> Decoded:
    try:
        return _checked(Decoded(data.decode(encoding).removeprefix("\ufeff"), encoding), name)
    except UnicodeError as error:
        raise GemsmithError(f"{name} is not {encoding}: {error}; name what it is in with --encoding") from None


def _checked(decoded: Decoded, name: str) -> Decoded:
    """No text has zeros, or more than a stray control character."""
    text = decoded.text
    controls = sum(text.count(char) for char in CONTROLS)
    if "\0" in text or controls > 4 + len(text) // 1000:
        raise GemsmithError(f"{name} is no text: it looks like binary data ({controls:,} control characters)")
    return decoded


def _wide(data: bytes) -> Decoded | None:
    """UTF-32 or UTF-16 without a mark: zeros in the bytes and none in the text, all of which can be seen."""
    if b"\0" not in data:
        return None
    found: list[tuple[int, str, str]] = []
    for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not (set(text) - set("\t\n\r\f")) or "".join(filter(_is_seen, text)) != text:
            continue
        found.append((sum(map(str.isascii, text)), encoding, text))
    most, encoding, text = max(found, default=(0, "", ""))
    return Decoded(text, encoding, is_guess=True) if most else None


def _is_seen(char: str) -> bool:
    return char.isprintable() or char in "\t\n\r\f\u2028\u3000\xa0"


def _guessed(data: bytes, name: str) -> Decoded:
    """The first encoding of the list whose text looks like its language."""
    for encoding, is_likely in GUESSES:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if is_likely(text):
            return Decoded(text, encoding, is_guess=True)
    raise GemsmithError(f"{name} is in no encoding that can be told from its bytes; name it with --encoding")


def _has(pattern: str, least: float) -> Callable[[str], bool]:
    """Whether at least this share of the characters beyond ASCII is part of what the pattern finds."""
    found = re.compile(pattern)

    def is_likely(text: str) -> bool:
        return sum(map(len, found.findall(text))) >= least * sum(char > "\x7f" for char in text)

    return is_likely


GUESSES: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("cp932", _has("[ぁ-ヿ]", 0.25)),  # Shift-JIS
    ("euc_jp", _has("[ぁ-ヿ]", 0.25)),
    ("cp949", _has("[가-힣]", 0.85)),  # Korean
    ("gb18030", _has(f"[{SIMPLIFIED}]", 0.12)),  # GBK, GB2312
    ("big5", _has(f"[{TRADITIONAL}]", 0.12)),
    ("cp1251", _has("[а-яё]{3,}", 0.7)),  # Russian words; in KOI8-R their letters are the large ones
    ("koi8_r", _has("[а-яё]{3,}", 0.7)),
    ("cp1252", lambda text: True),  # Windows in Western Europe
)
