"""Sound as models hear it: `sound` makes a `Waveform` of a file or of an array of samples. Whole, however long.

Files are decoded in a process that can be killed (`worker`, `jobs.sound`). Nothing here cuts: see `cut`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gemsmith.errors import MediaError
from gemsmith.media import worker
from gemsmith.media.prepared import SAMPLE_RATE, Waveform
from gemsmith.media.settings import MediaSettings
from gemsmith.media.source import open_source

LOUDEST = 8.0  # times full scale: +18 dB. Beyond it numbers are not loud sound but whole numbers kept as fractions
FULL_SCALE = {"int16": 2.0**15, "int32": 2.0**31}
MAX_CHANNELS = 64


def sound(source: Any, *, settings: MediaSettings | None = None) -> Waveform:
    """The whole sound of a path, bytes, data: URL or address, or of an array of samples.

    An array is [n] or [n, channels], 16,000 samples a second: float within [-1, 1], or int16 or int32. Channels are
    averaged. Samples a little beyond full scale are clipped to it, as every player does; NaN and infinity are refused.
    """
    settings = settings or MediaSettings()
    if isinstance(source, np.ndarray):
        return _of_array(source, settings)
    options = {"max_seconds": settings.max_seconds, "max_pixels": settings.max_pixels}
    with open_source(source, settings, limit=settings.max_clip_bytes) as (file, _):
        _, arrays = worker.run("sound", file, options, settings)
    if len(arrays) != 1:
        raise worker.failed("nonsense")
    return heard(arrays[0], settings)


def heard(samples: np.ndarray, settings: MediaSettings) -> Waveform:
    """Samples as the child gave them, checked, since it is not trusted."""
    samples = worker.expected(samples, "float32", None)
    # false for NaN too
    if not -1 <= samples.min() <= samples.max() <= 1 or len(samples) > settings.max_seconds * SAMPLE_RATE:
        raise worker.failed("nonsense")
    return Waveform(samples)


def _of_array(array: np.ndarray, settings: MediaSettings) -> Waveform:
    is_float = array.dtype.kind == "f"
    if array.ndim not in (1, 2) or not (is_float or array.dtype.name in FULL_SCALE):
        raise MediaError(
            "media_format",
            "an array of sound is [samples] or [samples, channels], of floats within -1 and 1, int16 or int32; "
            f"it was {array.ndim}-dimensional, of {array.dtype.name}",
        )
    if not array.size:
        raise MediaError("media_damaged", "the sound has no samples")
    if array.ndim == 2 and array.shape[1] > MAX_CHANNELS:
        raise MediaError(
            "media_format",
            f"an array of sound is [samples, channels] with at most {MAX_CHANNELS} channels, not {array.shape[1]}; "
            "transpose it",
        )
    if len(array) > settings.max_seconds * SAMPLE_RATE:
        raise MediaError(
            "media_too_large",
            f"the sound is {len(array) / SAMPLE_RATE:.0f} s long, and at most {settings.max_seconds:g} s are heard; "
            "cut it, or raise max_seconds",
        )
    if is_float:
        _check_floats(array)
    mono = array if array.ndim == 1 else array.mean(1, dtype=np.float64)
    return Waveform(np.clip(mono / FULL_SCALE.get(array.dtype.name, 1.0), -1, 1).astype(np.float32))


def _check_floats(array: np.ndarray) -> None:
    if not np.isfinite(array).all():
        raise MediaError("media_damaged", "the sound holds samples that are no numbers (NaN or infinity)")
    loudest = float(np.abs(array).max())
    if loudest > LOUDEST:
        raise MediaError(
            "media_format",
            f"samples of floats lie within -1 and 1, and the loudest here is {loudest:.0f}; divide by full scale, or "
            "give int16 or int32",
        )
