"""When each frame of a clip is shown, read off its packets without decoding them.

Counts in headers are absent (WebM, transport streams, GIF) or lie, so packets are counted. Seconds are the frame's
number over the clip's rate where frames come evenly, which is what transformers writes into prompts; where they do not,
they are the frame's own time since the first.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gemsmith.errors import MediaError
from gemsmith.media.jobs import container

MAX_PACKETS = 4_000_000  # nine hours at 120 frames a second
FALLBACK_RATE = 25.0  # frames a second where a bare stream says nothing


@dataclass(frozen=True, eq=False)
class Timeline:
    """`pts` of all frames in the order they are shown (in units of `unit` seconds), None where the file has none."""

    total: int
    pts: np.ndarray | None
    keyframes: np.ndarray  # pts of the frames that decoding can begin at, ascending
    unit: float
    rate: float  # frames a second, on average

    @cached_property
    def is_even(self) -> bool:
        """Whether frames come at the clip's rate, to within half a frame."""
        if self.pts is None:
            return True
        late = (self.pts - self.pts[0]) * self.unit - np.arange(self.total) / self.rate
        return bool(np.abs(late).max() <= 0.5 / self.rate + 0.001)

    @cached_property
    def seconds(self) -> np.ndarray:
        """When each frame is first shown; the first at 0."""
        if self.pts is None or self.is_even:
            return np.arange(self.total) / self.rate
        return (self.pts - self.pts[0]) * self.unit

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the end of the last."""
        return self.total / self.rate if self.is_even else float(self.seconds[-1]) + 1 / self.rate

    @property
    def can_seek(self) -> bool:
        """Whether a frame's time names it, and there is more than one place to begin at."""
        return self.pts is not None and len(self.keyframes) > 1 and bool((np.diff(self.pts) > 0).all())


def timeline(opened: Any, stream: Any, max_seconds: float) -> Timeline:
    """The timeline of a stream, whose packets are read to the end."""
    unit = float(stream.time_base)
    pts, keyframes, is_timed = array("q"), array("q"), True
    for packet in _shown(stream, container.packets(opened, stream)):
        is_timed = is_timed and packet.pts is not None
        pts.append(packet.pts or 0)
        if packet.is_keyframe:
            keyframes.append(packet.pts or 0)
        if len(pts) % 4096 == 0:
            _check_length(pts, unit, max_seconds)
    _check_length(pts, unit, max_seconds)
    _check_whole(opened, stream, len(pts))
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    made = of_times(pts if is_timed else [None] * len(pts), keyframes, unit, rate)
    container.check_seconds(made.duration, max_seconds)
    return made


def _check_length(pts: array[int], unit: float, max_seconds: float) -> None:
    if len(pts) > MAX_PACKETS:
        raise MediaError("media_too_large", f"the clip has more than {MAX_PACKETS} frames; cut it")
    if pts:
        container.check_seconds((pts[-1] - pts[0]) * unit, max_seconds)


def of_times(pts: Sequence[int | None], keyframes: Sequence[int], unit: float, rate: float) -> Timeline:
    """The timeline of frames with these times, if all have one; `rate` 0 where nothing says it."""
    if not len(pts):
        raise MediaError("media_damaged", "the clip has no frames: the file is empty, damaged or cut short")
    times = None if None in pts else np.sort(np.array(pts, np.int64))
    spread = 0.0 if times is None else float(times[-1] - times[0]) * unit
    if not 1e-3 <= rate <= 1e6:
        rate = (len(pts) - 1) / spread if spread > 0 else FALLBACK_RATE
    keys = np.sort(np.array(keyframes, np.int64))
    made = Timeline(len(pts), times, keys, unit, rate)
    if not made.is_even and spread > 0:  # what the header says of the rate is wrong, or means little
        made = Timeline(len(pts), times, keys, unit, (len(pts) - 1) / spread)
    return made


def _shown(stream: Any, packets: Iterator[Any]) -> Iterator[Any]:
    """Packets that become a picture: not those an edit leaves out, nor VP8's that only later ones refer to."""
    is_vp8 = stream.codec_context.codec.canonical_name == "vp8"
    for packet in packets:
        # RFC 6386, section 9.1: bit 4 of a frame's first byte says whether it is shown
        if not packet.is_discard and not (is_vp8 and packet.size and not bytes(packet)[0] & 0x10):
            yield packet


def _check_whole(opened: Any, stream: Any, count: int) -> None:
    """MP4 and MOV list all their frames first, so there it shows when the rest of the file is missing."""
    if "mov" in opened.format.name and count < len(stream.index_entries) and count < (stream.frames or 0) * 0.98:
        raise MediaError("media_damaged", "the clip is cut short: some of the frames that it lists are not in the file")
