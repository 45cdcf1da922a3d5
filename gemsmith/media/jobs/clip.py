"""Frames out of any container that `av` reads, and its sound: chosen first, then decoded, each resized at once.

The file is read once to see when its frames are shown (`timeline`), and again to decode what is needed: from key frame
to key frame over stretches nobody asked for, where the container can seek exactly, else from the beginning to the last
frame asked for. Pictures are turned as the file says, pixels are taken as square, and colours become RGB by swscale.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from av.stream import Disposition

from gemsmith.errors import MediaError
from gemsmith.media.choice import Wish, chosen
from gemsmith.media.jobs import container, length
from gemsmith.media.jobs import sound as sounds
from gemsmith.media.jobs.timeline import Timeline, of_times, timeline
from gemsmith.media.resize import fitted_size, resized

SEEKING = ("mov", "matroska")  # containers whose index leads to the key frame asked for
FAR = 24  # frames: a shorter way is decoded through rather than sought, which costs a decoder's start

Options = dict[str, Any]


def decode(file: BinaryIO, options: Options) -> tuple[dict[str, Any], list[np.ndarray]]:
    """`frames` uint8 [F, H, W, 3], and `samples` float32 [n] if there is sound and it was asked for.

    `options`: frames, fps, tokens, sound, and of the settings max_seconds, max_frames, max_pixels, max_memory.
    """
    wish = Wish(options["frames"], options["fps"], options["max_frames"])
    with container.opened(file, options["max_pixels"]) as opened:
        stream = pictures(opened)
        check_size(stream.codec_context.width, stream.codec_context.height, options["max_pixels"])
        seconds = container.header_seconds(opened, stream)
        container.check_seconds(seconds, options["max_seconds"])
        times = timeline(opened, stream, options["max_seconds"])
    length.tell(max(times.duration, seconds if options["sound"] else 0.0))
    samples = _sound(file, options) if options["sound"] else None
    times, numbers, picked = _picked(file, times, wish, options)
    values = {
        "seconds": [float(times.seconds[number]) for number in numbers],
        "size": picked.size,
        "total": times.total,
        "duration": times.duration,
    }
    return values, [picked.frames, *([] if samples is None else [samples])]


def pictures(opened: Any) -> Any:
    """The stream of moving pictures that a player would choose."""
    moving = [stream for stream in opened.streams.video if not stream.disposition & Disposition.attached_pic]
    if not moving:
        cover = " but the picture of a cover" if opened.streams.video else ""
        raise MediaError("media_format", f"the file has no moving pictures{cover}; if it is sound, give it as such")
    best = opened.streams.best("video")
    stream = best if best in moving else moving[0]
    container.check_codec(stream, container.PICTURES, "pictures")
    return stream


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse frames that are too large to be decoded, or have no size."""
    if width < 1 or height < 1:
        raise MediaError("media_damaged", "the clip is damaged: its frames have no size")
    if width * height > max_pixels:
        raise MediaError(
            "media_too_large", f"frames of {width} × {height} pixels are more than the {max_pixels} pixels allowed"
        )


def _sound(file: BinaryIO, options: Options) -> np.ndarray | None:
    """The clip's sound, None where it has none."""
    try:
        with container.opened(file, options["max_pixels"]) as opened:
            stream = sounds.track(opened)
            if stream is None:
                return None
            sounds.checked_seconds(opened, stream, options["max_seconds"])
            samples = sounds.samples(opened, stream, options["max_seconds"])
    except MediaError as error:
        raise MediaError(error.code, f"{error} (sound=False leaves the clip's sound out)") from None
    return samples if len(samples) else None


class Picked:
    """Frames taken so far, resized, in one array that was made when the first came."""

    def __init__(self, count: int, options: Options):
        self.count, self.options = count, options
        self.taken, self.size = 0, (0, 0)
        self.frames = np.empty((0, 0, 0, 3), np.uint8)

    def take(self, frame: Any) -> None:
        """Turn a decoded frame upright, resize it, keep it."""
        check_size(frame.width, frame.height, self.options["max_pixels"])
        with container.clear():
            rgb = frame.to_ndarray(format="rgb24")
        rgb = np.rot90(rgb, round(frame.rotation / 90))
        if not self.taken:
            self._make_room((rgb.shape[1], rgb.shape[0]))
        self.frames[self.taken] = self._fitted(rgb)
        self.taken += 1

    def _make_room(self, size: tuple[int, int]) -> None:
        width, height = fitted_size(*size, self.options["tokens"])
        nbytes, most = self.count * width * height * 3, self.options["max_memory"] // 2
        if nbytes > most:
            raise MediaError(
                "media_too_large",
                f"{self.count} frames of {width} × {height} pixels take {nbytes >> 20} MB, and {most >> 20} MB are "
                "allowed; ask for fewer frames, fewer tokens, or raise max_memory",
            )
        self.size, self.frames = size, np.empty((self.count, height, width, 3), np.uint8)

    def _fitted(self, rgb: np.ndarray) -> np.ndarray:
        if (rgb.shape[1], rgb.shape[0]) == self.size:
            return resized(rgb, self.options["tokens"])
        # a clip may change its size on the way: what comes later takes the shape of what came first
        from PIL import Image

        height, width = self.frames.shape[1:3]
        return np.array(Image.fromarray(np.ascontiguousarray(rgb)).resize((width, height), Image.Resampling.BICUBIC))


class _Missed(Exception):
    """A frame did not come where its packet said it would."""


def _picked(file: BinaryIO, times: Timeline, wish: Wish, options: Options) -> tuple[Timeline, list[int], Picked]:
    """The frames of the wish, with the timeline and the numbers they have in it."""
    numbers = chosen(times.seconds, times.duration, times.is_even, wish)
    with container.opened(file, options["max_pixels"]) as opened:
        if times.can_seek and any(name in opened.format.name for name in SEEKING):
            picked = Picked(len(numbers), options)
            try:
                for frame in _sought(opened, pictures(opened), times, numbers):
                    picked.take(frame)
                return times, numbers, picked
            except _Missed:
                pass
    picked, seen = _through(file, times, numbers, options)
    if picked.taken < len(numbers):  # there are packets that are no frame of their own: count what came out
        times = of_times(seen, [], times.unit, 0.0 if times.pts is not None else times.rate)
        numbers = chosen(times.seconds, times.duration, times.is_even, wish)
        picked, _ = _through(file, times, numbers, options)
    if picked.taken < len(numbers):
        raise MediaError("media_damaged", "the clip is damaged: not all of its frames can be decoded")
    return times, numbers, picked


def _sought(opened: Any, stream: Any, times: Timeline, numbers: list[int]) -> Iterator[Any]:
    """Frames by number, seeking over long stretches. Raises _Missed rather than give another frame."""
    assert times.pts is not None
    _use_threads(stream)
    frames: Iterator[Any] = iter(())
    here = -FAR - 1  # number of the frame decoded last
    for number in numbers:
        wanted = int(times.pts[number])
        key = times.keyframes[np.searchsorted(times.keyframes, wanted, side="right") - 1]
        if int(np.searchsorted(times.pts, key)) - here > FAR:
            with container.clear():
                opened.seek(int(key), stream=stream)
            frames = container.decoded(stream, container.packets(opened, stream))
        for frame in frames:
            if frame.pts is None or frame.pts >= wanted:
                break
        else:
            raise _Missed
        if frame.pts != wanted:
            raise _Missed
        here = number
        yield frame


def _through(file: BinaryIO, times: Timeline, numbers: list[int], options: Options) -> tuple[Picked, list[int | None]]:
    """Frames by number, decoding from the beginning; and the times of all frames that were seen."""
    picked, seen = Picked(len(numbers), options), list[int | None]()
    with container.opened(file, options["max_pixels"]) as opened:
        stream = pictures(opened)
        _use_threads(stream)
        for frame in container.decoded(stream, container.packets(opened, stream)):
            if len(seen) == numbers[picked.taken]:
                picked.take(frame)
            seen.append(frame.pts)
            if picked.taken == len(numbers):
                break
    return picked, seen


def _use_threads(stream: Any) -> None:
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = 2
