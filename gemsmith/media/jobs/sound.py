"""Sound out of any container that `av` reads: decoded, averaged to one channel, resampled to 16,000 samples a second.

Channels are averaged, each counting the same: unlike the weights of a home cinema's downmix this needs no knowledge of
which channel is which, and for stereo it is the usual one. Resampling is libswresample's, whose filter passes what lies
below 7.7 kHz. Decoding goes piece by piece; only the result is ever whole in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any, BinaryIO

import av
import numpy as np

from gemsmith.errors import MediaError
from gemsmith.media.jobs import container, length
from gemsmith.media.prepared import SAMPLE_RATE

RATES = range(1_000, 768_001)  # samples a second that a microphone's recording may have
MAX_CHANNELS = 64
BLOCK = 1 << 16  # samples that go to the resampler at once: a call costs more than a thousand samples

# full scale of whole numbers; 8-bit sound is the only kind without a sign
SCALES = {"uint8": 128.0, "int16": 2.0**15, "int32": 2.0**31, "int64": 2.0**63}


def decode(file: BinaryIO, options: dict[str, Any]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """`samples` float32 [n], mono, 16,000 a second; `options` has `max_seconds` and `max_pixels`."""
    with container.opened(file, options["max_pixels"]) as opened:
        stream = track(opened)
        if stream is None:
            raise MediaError("media_format", "the file has no sound in it")
        seconds = checked_seconds(opened, stream, options["max_seconds"])
        length.tell(seconds)
        whole = samples(opened, stream, options["max_seconds"])
    if not len(whole):
        raise MediaError("media_damaged", "the sound has no samples: the file is empty or cut short")
    return {}, [whole]


def track(opened: Any) -> Any | None:
    """The sound track that a player would choose, if there is any."""
    return opened.streams.best("audio")


def checked_seconds(opened: Any, stream: Any, most: float) -> float:
    """How long the header says the sound is, if that is allowed; refuses what no recording is.

    Programs that write to a pipe put the largest number for a WAV's size, so plain samples are at most what the file
    has bytes for.
    """
    container.check_codec(stream, container.SOUNDS, "sound")
    context = stream.codec_context
    if context.sample_rate not in RATES or not 1 <= context.channels <= MAX_CHANNELS:
        raise _odd(context.sample_rate, context.channels)
    seconds = container.header_seconds(opened, stream)
    if context.name.startswith("pcm_"):
        seconds = min(seconds, opened.size / (context.sample_rate * context.channels))
    container.check_seconds(seconds, most)
    return seconds


def samples(opened: Any, stream: Any, max_seconds: float) -> np.ndarray:
    """The whole track, float32 [n] in [-1, 1]."""
    frames = container.decoded(stream, container.packets(opened, stream))
    whole, end = np.empty(0, np.float32), 0
    for piece in _resampled(_mono(frames)):
        container.check_seconds((end + len(piece)) / SAMPLE_RATE, max_seconds)
        if end + len(piece) > len(whole):  # in place: at no time are there two of them
            whole.resize(max((end + len(piece)) * 5 // 4, 60 * SAMPLE_RATE), refcheck=False)
        whole[end : end + len(piece)] = piece
        end += len(piece)
    whole.resize(end, refcheck=False)
    return whole


def _mono(frames: Iterator[Any]) -> Iterator[tuple[int, np.ndarray]]:
    """(rate, float32 [n]), channels averaged, of as many frames at once as make a block: numpy's calls cost too."""
    for (rate, channels, is_planar), run in groupby(frames, _kind):
        for block in _blocks(frame.to_ndarray() for frame in run):
            # what is not planar is [1, n * channels], channels side by side
            yield rate, averaged(block if is_planar else block.reshape(-1, channels).T)


def _kind(frame: Any) -> tuple[int, int, bool]:
    """Frames of one kind can be joined; streams may change theirs on the way."""
    rate, channels = frame.sample_rate, len(frame.layout.channels)
    if rate not in RATES or not 1 <= channels <= MAX_CHANNELS:
        raise _odd(rate, channels)
    return rate, channels, frame.format.is_planar


def _blocks(arrays: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    held: list[np.ndarray] = []
    for array in arrays:
        held.append(array)
        if sum(part.shape[1] for part in held) >= BLOCK:
            yield np.concatenate(held, axis=1)
            held = []
    if held:
        yield np.concatenate(held, axis=1)


def averaged(channels: np.ndarray) -> np.ndarray:
    """float32 [n] of samples [channels, n] of any type that sound is kept in, full scale 1."""
    mono = channels[0].astype(np.float32)
    for channel in channels[1:]:  # one by one: four times as fast as `mean` where channels lie side by side
        mono += channel
    if channels.dtype == np.uint8:
        mono -= 128 * len(channels)
    mono *= np.float32(1 / (SCALES.get(channels.dtype.name, 1.0) * len(channels)))
    return mono


def _resampled(pieces: Iterator[tuple[int, np.ndarray]]) -> Iterator[np.ndarray]:
    """The same sound at 16,000 samples a second, clipped to [-1, 1]: codecs and filters overshoot a little."""
    for rate, run in groupby(pieces, key=lambda piece: piece[0]):
        resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE) if rate != SAMPLE_RATE else None
        for _, block in run:
            if not np.isfinite(block).all():
                raise MediaError("media_damaged", "the sound holds samples that are no numbers")
            yield from (np.clip(piece, -1, 1) for piece in _through(resampler, block, rate))
        yield from (np.clip(piece, -1, 1) for piece in _through(resampler, None, rate))


def _through(resampler: Any, block: np.ndarray | None, rate: int) -> Iterator[np.ndarray]:
    """What the resampler gives for a block; for None, what it still holds."""
    if resampler is None:
        yield from () if block is None else (block,)
        return
    frame = None
    if block is not None:
        frame = av.AudioFrame.from_ndarray(block[None], format="flt", layout="mono")
        frame.sample_rate = rate
    with container.clear():
        yield from (out.to_ndarray()[0] for out in resampler.resample(frame))


def _odd(rate: int, channels: int) -> MediaError:
    return MediaError(
        "media_format",
        f"the sound has {channels} channels at {rate} samples a second; 1 to {MAX_CHANNELS} channels at "
        f"{RATES.start} to {RATES.stop - 1} are read",
    )
