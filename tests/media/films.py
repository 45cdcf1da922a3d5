"""Sounds and clips made here, of which is known what must be heard and seen: tones, and frames that carry their number.

Frame k is grey of level 20 + 4 * (k % 50) with a red corner at its top left, so that order and upright are seen.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def tone(seconds: float, rate: int, channels: int = 1, hertz: float = 440.0, level: float = 0.5) -> np.ndarray:
    """float32 [channels, n]: a sine, the same in every channel."""
    wave = level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.repeat(wave[None].astype(np.float32), channels, 0)


def sound_file(
    container: str, codec: str, samples: np.ndarray, rate: int, options: dict[str, str] | None = None
) -> bytes:
    """A file of samples float32 [channels, n]."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        add_sound(out, codec, samples, rate, options)
    return buffer.getvalue()


def add_sound(out: Any, codec: str, samples: np.ndarray, rate: int, options: dict[str, str] | None = None) -> None:
    """Write a sound track into an open container."""
    layout = LAYOUTS[len(samples)]
    stream = out.add_stream(codec, rate=rate, layout=layout, options=options or {})
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    context = stream.codec_context
    resampler = av.AudioResampler(context.format.name, layout, rate, frame_size=context.frame_size or None)
    for each in (*resampler.resample(frame), *resampler.resample(None), None):
        out.mux(stream.encode(each))


def picture(number: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """Frame `number`, uint8 [H, W, 3]."""
    width, height = size
    rgb = np.full((height, width, 3), 20 + 4 * (number % 50), np.uint8)
    rgb[: height // 4, : width // 4] = (255, 0, 0)
    return rgb


def number_of(rgb: np.ndarray) -> int:
    """The number of a frame below 50, read off its lower right quarter."""
    height, width = rgb.shape[:2]
    level = float(rgb[height // 2 :, width // 2 :].mean())
    return round((level - 20) / 4)


def film(
    container: str = "mp4",
    codec: str = "libx264",
    count: int = 50,
    *,
    rate: int | Fraction = 25,
    size: tuple[int, int] = (64, 48),
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    rotation: int = 0,
    sound: np.ndarray | None = None,
) -> bytes:
    """A clip of `count` frames; `times` in thousandths of a second where they come unevenly."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        speed = {"preset": "veryfast"} if codec in ("libx264", "libx265") else {}
        stream = out.add_stream(codec, rate=rate, options=speed | (options or {}))
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.bit_rate = 4_000_000  # grey levels must survive
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        if sound is not None:
            add_sound(out, "aac" if container == "mp4" else "libopus", sound, 48_000)
        for frame in (*_frames(count, rate, size, times), None):
            out.mux(stream.encode(frame))
    return buffer.getvalue()


def _frames(count: int, rate: int | Fraction, size: tuple[int, int], times: Sequence[int] | None) -> Iterator[Any]:
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(picture(number, size), format="rgb24")
        frame.pts = number if times is None else times[number]
        frame.time_base = 1 / Fraction(rate) if times is None else Fraction(1, 1000)
        yield frame


def spectrum_peak(samples: np.ndarray) -> tuple[float, float]:
    """(hertz, level) of the loudest tone in the middle second of a sound, 16,000 samples a second."""
    middle = samples[len(samples) // 2 - 8000 : len(samples) // 2 + 8000].astype(np.float64)
    heights = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    return float(heights.argmax()), float(middle.std() * 2**0.5)
