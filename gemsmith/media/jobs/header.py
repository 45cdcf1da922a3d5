"""What a picture's file says of itself, read with a few hundred bytes, before any decoder sees it.

Decoders take memory for what a header promises, and keep whole colour profiles, texts and thumbnails while they look
for the pixels. So the format is told by the first bytes, never by a name; sides are read from the header; and
everything that stands beside the pixels is measured without being read. Decodes nothing. Specifications: PNG (W3C),
JPEG (ITU T.81), GIF89a, WebP (RFC 9649), TIFF 6.0 and BigTIFF, ISO BMFF for AVIF.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import BinaryIO, Literal

from gemsmith.errors import MediaError
from gemsmith.media.resize import check_pixels

MOST_BESIDE = 16 << 20  # bytes of colour profiles, texts, thumbnails and the like in one picture
MOST_PARTS = 16_384  # of a file that are not pixels
MOST_SEEN = 65_536  # parts of a file that are looked at
KNOWN = "PNG, JPEG, WebP, GIF, BMP, TIFF and AVIF"
TOO_MUCH_BESIDE = (
    f"the picture has more than {MOST_BESIDE >> 20} MB, or {MOST_PARTS} parts, of profiles, texts or layers beside its"
    " pixels; save it without them"
)
CUT = "the picture is damaged or cut short; open it elsewhere and save it again"

SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}
OTHERS = {
    b"%PDF": "a PDF document, which is not a picture; give it as a document",
    b"8BPS": "a Photoshop file",
    b"\0\0\0\x0cjP": "a JPEG 2000 picture",
    b"\xff\x4f\xff\x51": "a JPEG 2000 picture",
    b"\xff\x0a": "a JPEG XL picture",
    b"\0\0\0\x0cJXL": "a JPEG XL picture",
    b"\0\0\x01\0": "a Windows icon",
    b"gd2\0": "a GD picture",
}


def checked(file: BinaryIO, max_pixels: int) -> str:
    """Pillow's name of the format, if the file may be decoded; leaves the file at its beginning."""
    file.seek(0)
    head = file.read(512)
    format_ = _format(head)
    if walk := WALKS.get(format_):
        walk(Walk(file, max_pixels))
    file.seek(0)
    return format_


def _format(head: bytes) -> str:
    for signature, name in SIGNATURES.items():
        if head.startswith(signature):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        size = int.from_bytes(head[:4], "big")
        if any(brand in head[8:size] for brand in (b"avif", b"avis")):
            return "AVIF"
    raise MediaError("media_format", f"this is {_other(head)}; pictures are read as {KNOWN}")


def _other(head: bytes) -> str:
    """What a file that is no picture we read most likely is."""
    for signature, name in OTHERS.items():
        if head.startswith(signature):
            return name
    if head[4:8] == b"ftyp":
        return "a HEIC picture" if head[8:11] in (b"hei", b"hev", b"mif", b"msf") else "a clip or sound, not a picture"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in text or text.startswith(b"<?xml"):
        return "an SVG drawing or other XML, which has no pixels"
    return "a web page, not a picture" if text.startswith((b"<!doctype html", b"<html")) else "no picture known here"


class Walk:
    """A way through a file, from part to part; stops where its author wants more than is given."""

    def __init__(self, file: BinaryIO, max_pixels: int):
        self._file, self._max_pixels = file, max_pixels
        self._beside = self._parts = self._seen = 0

    def unpack(self, form: str) -> tuple[int, ...]:
        """The next numbers of the file."""
        data = self._file.read(struct.calcsize(form))
        if len(data) < struct.calcsize(form):
            raise MediaError("media_damaged", CUT)
        return struct.unpack(form, data)

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def at(self, place: int) -> None:
        """Go on from here, counted from the beginning."""
        self._file.seek(min(place, 1 << 62))

    def skip(self, size: int) -> None:
        self._file.seek(min(size, 1 << 62), 1)

    def more(self) -> bool:
        """Whether another part is to be looked at; each time counts."""
        self._seen += 1
        return self._seen <= MOST_SEEN

    def beside(self, size: int) -> None:
        """Count a part that is no pixels, and its bytes."""
        self._parts += 1
        self._beside += size
        if self._beside > MOST_BESIDE or self._parts > MOST_PARTS:
            raise MediaError("media_too_large", TOO_MUCH_BESIDE)

    def sides(self, width: int, height: int) -> None:
        """Check the sides of a picture, or a frame."""
        check_pixels(width, height, self._max_pixels)


def _png(walk: Walk) -> None:
    walk.at(8)
    while walk.more():
        head = walk.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            return
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind == b"IHDR":
            walk.sides(*walk.unpack(">II"))
            length -= 8
        elif kind not in (b"IDAT", b"fdAT", b"fcTL"):
            walk.beside(length)
        walk.skip(length + 4)
    raise MediaError(
        "media_too_large", f"the picture is in more than {MOST_SEEN} parts; open it elsewhere, save it again"
    )


def _jpeg(walk: Walk) -> None:
    walk.at(2)
    while True:
        walk.beside(0)
        start, mark = walk.unpack(">BB")
        if start != 0xFF or mark == 0xFF:  # decoders look for the next marker too
            walk.skip(-1)
            continue
        if mark in (0xDA, 0xD9):  # pixels, or the end
            return
        if mark in (0x00, 0x01) or 0xD0 <= mark <= 0xD8:
            continue
        (length,) = walk.unpack(">H")
        if 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC):
            _, height, width = walk.unpack(">BHH")
            walk.sides(width, height)
            length -= 5
        else:
            walk.beside(length)
        walk.skip(max(length - 2, 0))


def _gif(walk: Walk) -> None:
    walk.at(6)
    width, height, flags, *_ = walk.unpack("<HHBBB")
    walk.sides(width, height)
    walk.skip(3 << (flags & 7) + 1 if flags & 0x80 else 0)
    while True:
        (kind,) = walk.unpack("<B")
        if kind == 0x2C:  # the first frame, which may be larger than the screen it is drawn on
            left, top, width, height = walk.unpack("<HHHH")
            return walk.sides(left + width, top + height)
        if kind == 0x3B:
            raise MediaError("media_damaged", CUT)
        if kind == 0x21:
            walk.skip(1)
            while size := walk.unpack("<B")[0]:
                walk.beside(size)
                walk.skip(size)
        walk.beside(1)


def _webp(walk: Walk) -> None:
    walk.at(12)
    while walk.more():
        head = walk.read(8)
        if len(head) < 8:
            return
        length, kind = int.from_bytes(head[4:], "little"), head[:4]
        start = walk.read(min(length, 10)).ljust(10, b"\0")
        if kind == b"VP8X":
            walk.sides(1 + int.from_bytes(start[4:7], "little"), 1 + int.from_bytes(start[7:10], "little"))
        elif kind == b"VP8 ":
            walk.sides(*(side & 0x3FFF for side in struct.unpack("<HH", start[6:10])))
        elif kind == b"VP8L":
            bits = int.from_bytes(start[1:5], "little")
            walk.sides(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
        elif kind not in (b"ANMF", b"ALPH"):
            walk.beside(length)
        walk.skip(length + (length & 1) - min(length, 10))


TIFF_SIZES = dict(zip(range(1, 19), (1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8), strict=True))


def _tiff(walk: Walk) -> None:
    walk.at(0)
    endian: Literal["little", "big"] = "little" if walk.read(2) == b"II" else "big"
    order = "<" if endian == "little" else ">"
    (version,) = walk.unpack(order + "H")
    if version == 43:
        walk.unpack(order + "HH")
    place, count, entry = ("Q", "Q", "HHQQ") if version == 43 else ("I", "H", "HHII")
    walk.at(walk.unpack(order + place)[0])
    sides = {256: 1, 257: 1}
    for _ in range(walk.unpack(order + count)[0]):
        tag, kind, num, value = walk.unpack(order + entry)
        walk.beside(num * TIFF_SIZES.get(kind, 1))
        if tag in sides and num == 1:
            inline = value.to_bytes(struct.calcsize(place), endian)[: TIFF_SIZES.get(kind, 1)]
            sides[tag] = int.from_bytes(inline, endian)
    walk.sides(sides[256], sides[257])


def _avif(walk: Walk) -> None:
    walk.at(0)
    while walk.more():
        head = walk.read(16)
        if len(head) < 16:
            return
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        if kind != b"mdat":
            walk.beside(length)
        if length < 16:  # to the end of the file; or nonsense, for the decoder to name
            return
        walk.skip(length - 16)


WALKS: dict[str, Callable[[Walk], None]] = {
    "PNG": _png,
    "JPEG": _jpeg,
    "GIF": _gif,
    "WEBP": _webp,
    "TIFF": _tiff,
    "AVIF": _avif,
}
