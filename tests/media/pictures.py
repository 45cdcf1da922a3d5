"""Pictures made here: photographs of known content in every format, and headers that promise more than there is."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

BANDS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "RGBX": 4, "CMYK": 4, "YCbCr": 3, "HSV": 3, "LAB": 3}


def photo(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Soft colours with fine grain: like a photograph, hard on a resizing that is nearly right."""
    rng = np.random.default_rng(seed)
    if mode in ("P", "1"):
        grey = photo(width, height, "L", seed)
        return grey.convert("RGB").quantize(32) if mode == "P" else grey.convert("1")
    if mode == "PA":
        return photo(width, height, "RGBA", seed).convert("PA")
    coarse = rng.integers(0, 256, (height // 40 + 2, width // 40 + 2, BANDS[mode]), np.uint8)
    bands = [Image.fromarray(coarse[..., band]).resize((width, height)) for band in range(BANDS[mode])]
    soft = np.stack([np.asarray(band, np.int16) for band in bands], -1)
    grain = rng.integers(-9, 10, (height, width, 1), np.int16)
    return Image.frombytes(mode, (width, height), (soft + grain).clip(0, 255).astype(np.uint8).tobytes())


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    """The picture as a file of this format."""
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, extra: bytes = b"", after: bytes = b"") -> bytes:
    """A PNG of these sides with few pixels, or too many, and other chunks before and after them."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(height * (1 + 3 * width) if height < 99 else 100)))
    return b"\x89PNG\r\n\x1a\n" + header + extra + pixels + after + chunk(b"IEND", b"")


def jpeg(width: int, height: int, extra: bytes = b"") -> bytes:
    data = bytearray(encoded(Image.new("RGB", (8, 8)), "JPEG"))
    sides = data.index(b"\xff\xc0") + 5
    data[sides : sides + 4] = struct.pack(">HH", height, width)
    return bytes(data[:2] + extra + data[2:])


def gif(screen: tuple[int, int], frame: tuple[int, int], extra: bytes = b"") -> bytes:
    data = bytearray(encoded(Image.new("P", (8, 8)), "GIF"))
    data[6:10] = struct.pack("<HH", *screen)
    start = data.index(b",\0\0\0\0\x08\0\x08\0")
    data[start + 5 : start + 9] = struct.pack("<HH", *frame)
    return bytes(data[:start] + extra + data[start:])


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1) for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_lossless(width: int, height: int) -> bytes:
    return riff((b"VP8L", b"\x2f" + (width - 1 | height - 1 << 14).to_bytes(4, "little") + bytes(20)))


def webp_lossy(width: int, height: int) -> bytes:
    return riff((b"VP8 ", b"\x10\2\0\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(20)))


def webp_extended(width: int, height: int) -> bytes:
    return riff((b"VP8X", bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")))


def tiff(width: int, height: int, order: str = "<", kind: int = 4) -> bytes:
    """The header and the one list of tags that tells the sides, as 16-bit (3) or 32-bit (4) numbers."""
    form = order + ("HHIHxx" if kind == 3 else "HHII")
    sides = struct.pack(form, 256, kind, 1, width) + struct.pack(form, 257, kind, 1, height)
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return start + struct.pack(order + "H", 2) + sides + bytes(4)


def tiff_with_tag(size: int) -> bytes:
    """A TIFF whose colour profile has `size` bytes."""
    return b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 34675, 7, size, 26) + bytes(4 + size)


def bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, *[0] * 6)


def avif(width: int, height: int) -> bytes:
    data = bytearray(encoded(Image.new("RGB", (8, 8)), "AVIF"))
    sides = data.index(b"ispe") + 8
    data[sides : sides + 8] = struct.pack(">II", width, height)
    return bytes(data)


def promises() -> dict[str, bytes]:
    """Small files that promise 65,535 x 65,535 pixels, or as many as the format can."""
    most = 65_535
    return {
        "png": png(most, most),
        "jpeg": jpeg(65_500, 65_500),
        "gif screen": gif((most, most), (8, 8)),
        "gif frame": gif((8, 8), (most, most)),
        "webp lossless": webp_lossless(16_383, 16_383),
        "webp lossy": webp_lossy(16_383, 16_383),
        "webp extended": webp_extended(1 << 24, 1 << 24),
        "tiff": tiff(most, most),
        "tiff big-endian": tiff(most, most, ">", 3),
        "bmp": bmp(most, most),
        "bmp upside down": bmp(most, -most),
        "avif": avif(16_000, 16_000),
    }


def loads() -> dict[str, bytes]:
    """Small pictures with far too much, or far too many things, beside their pixels."""
    text = chunk(b"tEXt", b"Comment\0" + b"a" * (17 << 20))
    return {
        "png text": png(8, 8, text),
        "png text after": png(8, 8, after=text),
        "png many texts": png(8, 8, chunk(b"tEXt", b"a\0b") * 20_000),
        "jpeg exif": jpeg(8, 8, (b"\xff\xe1\xff\xff" + bytes(65_533)) * 300),
        "jpeg comments": jpeg(8, 8, b"\xff\xfe\0\2" * 20_000),
        "jpeg fill": jpeg(8, 8, b"\xff" * 20_000),
        "gif comment": gif((8, 8), (8, 8), b"!\xfe" + (b"\xff" + b"a" * 255) * 20_000 + b"\0"),
        "webp exif": riff((b"EXIF", bytes(17 << 20))),
        "tiff profile": tiff_with_tag(17 << 20),
    }


def inflating() -> dict[str, bytes]:
    """Files whose compressed parts grow a thousandfold."""
    zeros = zlib.compress(bytes(100 << 20))
    return {"profile": png(8, 8, chunk(b"iCCP", b"x\0\0" + zeros)), "text": png(8, 8, chunk(b"zTXt", b"x\0\0" + zeros))}
