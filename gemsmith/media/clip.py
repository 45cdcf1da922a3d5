"""Clips as models see them: `clip` makes `Frames`, and a `Waveform` of the sound, of a file or an array of frames.

Files are decoded in a process that can be killed (`worker`, `jobs.clip`). Frames are resized like pictures: bicubic by
Pillow. The released processor applies torchvision's kernel by the same rule, and differs by at most 2 of 255, on noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gemsmith.errors import MediaError
from gemsmith.media import worker
from gemsmith.media.choice import MOST_BY_DEFAULT, Wish, evenly, remark
from gemsmith.media.prepared import Frames, Waveform
from gemsmith.media.resize import check_budget, fitted_size, resized
from gemsmith.media.settings import MediaSettings
from gemsmith.media.sound import heard
from gemsmith.media.source import open_source

ARRAY_FPS = 24.0  # frames a second of an array whose rate nobody said, as in transformers


@dataclass(frozen=True)
class Clip:
    """What is seen and heard of a clip; `remark` is a sentence for whoever asked, where it is not what they expect."""

    frames: Frames
    sound: Waveform | None
    remark: str | None


def clip(
    source: Any,
    *,
    frames: int | None = None,
    fps: float | None = None,
    tokens: int = 70,
    sound: bool = True,
    settings: MediaSettings | None = None,
) -> Clip:
    """Frames of a path, bytes, data: URL or address, or of an array uint8 [F, H, W, 3].

    A file is shown a frame a second, or 60 frames evenly where it is longer than that; `frames` asks for a count,
    `fps` for frames a second. An array's frames were chosen by who made it: all are shown, up to 60 or the count asked
    for, and `fps` says at what rate they were taken.
    """
    settings = settings or MediaSettings()
    check_budget(tokens)
    if isinstance(source, np.ndarray):
        return _of_array(source, frames, fps, tokens, settings)
    wish = Wish(frames, fps, settings.max_frames)
    options = {
        "frames": frames,
        "fps": fps,
        "tokens": tokens,
        "sound": bool(sound),
        "max_seconds": settings.max_seconds,
        "max_frames": settings.max_frames,
        "max_pixels": settings.max_pixels,
        "max_memory": settings.max_memory,
    }
    with open_source(source, settings, limit=settings.max_clip_bytes) as (file, _):
        values, arrays = worker.run("clip", file, options, settings)
    return _checked(values, arrays, wish, tokens, settings, sound)


def _checked(
    values: dict[str, Any], arrays: list[np.ndarray], wish: Wish, tokens: int, settings: MediaSettings, sound: bool
) -> Clip:
    """What the decoding process says of the clip, if it can be so, since it is not trusted."""
    match values, arrays:
        case {"seconds": list(seconds), "size": size, "total": int(total), "duration": float(duration)}, [rgb, *rest]:
            size = worker.expected_size(size, settings)
            width, height = fitted_size(*size, tokens)
            rgb = worker.expected(rgb, "uint8", len(seconds), height, width, 3)
            if (
                0 < len(seconds) <= min(total, wish.frames or settings.max_frames, settings.max_frames)
                and _ascend(seconds)
                and 0 <= duration < math.inf
                and len(rest) <= bool(sound)
            ):
                waveform = heard(rest[0], settings) if rest else None
                frames = Frames(rgb, tuple(seconds), size)
                return Clip(frames, waveform, remark(wish, len(seconds), total, duration))
    raise worker.failed("nonsense")


def _ascend(seconds: list[Any]) -> bool:
    """Whether these are times from 0, none before the one that it follows."""
    return all(type(each) is float and 0 <= each < math.inf for each in seconds) and seconds == sorted(seconds)


def _of_array(array: np.ndarray, frames: int | None, fps: float | None, tokens: int, settings: MediaSettings) -> Clip:
    Wish(None, fps, settings.max_frames), Wish(frames, None, settings.max_frames)
    if array.ndim != 4 or array.shape[3] != 3 or array.dtype != np.uint8 or not array.size:
        raise MediaError(
            "media_format",
            f"an array of frames is uint8 [F, H, W, 3] and not empty; it was {array.dtype.name} {list(array.shape)}",
        )
    total, height, width, _ = array.shape
    if height * width > settings.max_pixels:
        raise MediaError(
            "media_too_large",
            f"frames of {width} × {height} pixels are more than the {settings.max_pixels} pixels allowed",
        )
    wish = Wish(frames or min(total, MOST_BY_DEFAULT, settings.max_frames), None, settings.max_frames)
    numbers = evenly(total, wish.count(total, 0.0))
    rgb = np.stack([resized(array[number], tokens) for number in numbers])
    told = remark(wish, len(rgb), total, 0.0)
    if frames is None and len(numbers) < total:
        told = f"The clip has {total} frames, of which {len(numbers)} are shown, spread evenly."
    seconds = tuple(number / (fps or ARRAY_FPS) for number in numbers)
    return Clip(Frames(rgb, seconds, (width, height)), None, told)
