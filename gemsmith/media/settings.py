"""What may be decoded: limits on bytes, pixels, seconds, frames and pages, and whether addresses may be fetched."""

from __future__ import annotations

from dataclasses import dataclass


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
