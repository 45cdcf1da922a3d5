"""Which frames of a clip are shown: by count, by frames a second, or one a second up to sixty. Arithmetic only.

A count is spread as transformers' video processor does (video_processing_utils.py, `sample_frames`): frame k of n is
number k * total // n, and `fps` frames a second are int(total / rate * fps) of them, at least one. Clips whose frames
come at uneven times are asked by time instead, unless a count is asked for: a second is a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gemsmith.errors import MediaError, RequestError
from gemsmith.media.told import told

DEFAULT_FPS = 1.0
MOST_FPS = 1e308  # every number of frames a second that is one
MOST_BY_DEFAULT = 60  # frames, as many seconds of clip as the model was trained for


@dataclass(frozen=True)
class Wish:
    """What was asked: a count of frames, or frames a second, or neither; and the most that is allowed."""

    frames: int | None
    fps: float | None
    max_frames: int

    def __post_init__(self) -> None:
        if self.frames is not None and self.fps is not None:
            raise RequestError("frames of a clip are asked for by frames or by fps, and both were given; leave one out")
        if self.frames is not None and (type(self.frames) is not int or not 1 <= self.frames < 1 << 62):
            raise RequestError(f"frames is a count from 1, and {told(self.frames)} was asked")
        if self.fps is not None and not (type(self.fps) in (int, float) and 0 < self.fps <= MOST_FPS):
            raise RequestError(f"fps is a number of frames a second above 0, and {told(self.fps)} was asked")

    @property
    def is_default(self) -> bool:
        return self.frames is None and self.fps is None

    def count(self, total: int, duration: float) -> int:
        """How many of `total` frames that last `duration` seconds are shown, at most."""
        wanted = self.wanted(duration)
        if self.is_default:
            wanted = min(wanted, MOST_BY_DEFAULT, self.max_frames)
        count = min(wanted, total)
        if count > self.max_frames:
            raise MediaError(
                "media_too_large",
                f"{count} frames of the clip were asked for, and at most {self.max_frames} are shown; ask for fewer, "
                "or raise max_frames",
            )
        return count

    def wanted(self, duration: float) -> int:
        """How many frames the wish comes to, however many there are."""
        return self.frames or max(1, int(min(duration * (self.fps or DEFAULT_FPS), 1e9)))


def chosen(seconds: Sequence[float] | np.ndarray, duration: float, is_even: bool, wish: Wish) -> list[int]:
    """Numbers of the frames shown, of a clip whose frames are first seen at `seconds` (from 0, ascending)."""
    total = len(seconds)
    count = wish.count(total, duration)
    if is_even or wish.frames is not None or wish.wanted(duration) > total:
        return evenly(total, count)
    step = duration / count if wish.is_default and wish.wanted(duration) > count else 1 / (wish.fps or DEFAULT_FPS)
    times = np.arange(count) * step + 1e-6
    return sorted({max(0, int(number) - 1) for number in np.searchsorted(seconds, times, side="right")})


def evenly(total: int, count: int) -> list[int]:
    """`count` of `total` numbers, spread evenly, the first always 0."""
    return [k * total // count for k in range(count)]


def remark(wish: Wish, shown: int, total: int, duration: float) -> str | None:
    """One sentence for whoever asked, where the frames `shown` are not what could be expected."""
    wanted = wish.wanted(duration)
    if not wish.is_default:
        return None if wanted <= total else f"The clip has only {total} frames, fewer than asked for; all are shown."
    if wanted <= wish.count(total, duration) or shown == total:
        return None
    return f"The clip lasts {minutes(duration)}, so {shown} frames are shown, spread evenly, instead of one a second."


def minutes(seconds: float) -> str:
    """A duration as people say it."""
    whole = int(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"
