"""What may be decoded: limits on bytes, pixels, seconds, frames and pages, and whether addresses may be fetched."""

from __future__ import annotations

from dataclasses import dataclass

from gemsmith.errors import RequestError
from gemsmith.media.told import told

MOST_SECONDS = 1e9  # thirty years: what clocks can wait, and more than anybody means


@dataclass(frozen=True, kw_only=True)
class MediaSettings:
    """Limits of one request. What exceeds one is refused with its number; nothing is shortened in silence."""

    allow_urls: bool = False  # fetch http(s) sources; off, they are refused
    max_items: int = 256  # pictures, pages, clips and sounds in one request
    max_bytes: int = 256 << 20  # of one file (clips: see max_clip_bytes)
    max_clip_bytes: int = 4 << 30  # of one video or sound file, which is read as it is decoded
    max_pixels: int = 100_000_000  # of one picture, frame or page before it is resized
    max_pages: int = 64  # of one document in one request
    max_frames: int = 256  # taken of one clip
    max_seconds: float = 4 * 3600  # of one clip or sound
    timeout_s: float = 60.0  # for decoding one item, longer for long clips: + 0.5 s a second of sound or clip
    max_memory: int = 2 << 30  # bytes of memory of the process that decodes

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name == "allow_urls":
                fits, wanted = type(value) is bool, "True or False"
            elif name in ("max_seconds", "timeout_s"):
                fits = type(value) in (int, float) and 0 < value <= MOST_SECONDS
                wanted = f"a number of seconds above 0, up to {MOST_SECONDS:g}"
            else:
                fits, wanted = type(value) is int and 1 <= value < 1 << 62, "a whole number from 1, below 2 ** 62"
            if not fits:
                raise RequestError(f"MediaSettings: {name} is {wanted}, and it was given {told(value)}")
