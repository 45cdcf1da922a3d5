"""Log-mel frames: the picture of a sound that an audio tower reads. Numpy only; nothing is cut, however long.

    n samples   T frames   L samples of one frame   K frequencies   F mel bins

Frames of 20 ms every 10 ms, the first centred on the first sample; Hann window; magnitudes, not powers, of 257
frequencies; triangles evenly spaced on the HTK mel scale from 0 to 8000 Hz, of height 1; natural logarithm.
Sources: upstream `transformers` models/gemma4/feature_extraction_gemma4.py; Stevens, Volkmann and Newman (1937) in
the form of the HTK book, §5.4.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gemsmith.config.media import MEL_HOP, NUM_MEL_BINS
from gemsmith.media.prepared import SAMPLE_RATE

FRAME = 2 * MEL_HOP
FFT = 512  # a frame, filled up with zeros to the next power of two
FLOOR = 1e-3  # what silence becomes before the logarithm
MULTIPLE = 128  # the released front end fills a sound up to so many samples, which can add a frame that is not valid
BLOCK = 256  # frames worked on at a time: their spectra stay in the processor's cache


def log_mel(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frames float32 [T, 128], and which are valid, bool [T]: invalid ones reach past the sound's end and are zero."""
    samples = np.asarray(samples, dtype=np.float32)
    padded = np.zeros(MEL_HOP + -(-len(samples) // MULTIPLE) * MULTIPLE, dtype=np.float32)
    padded[MEL_HOP : MEL_HOP + len(samples)] = samples
    num_frames = max(0, (len(padded) - FRAME - 1) // MEL_HOP + 1)  # a frame wants one sample more than it reads
    num_valid = max(0, (len(samples) - 1) // MEL_HOP)
    mel_TF = np.zeros((num_frames, NUM_MEL_BINS), dtype=np.float32)
    if num_valid:
        frames_TL = sliding_window_view(padded, FRAME)[::MEL_HOP]
        for start in range(0, num_valid, BLOCK):
            rows = slice(start, min(start + BLOCK, num_valid))
            mel_TF[rows] = _log_mel_of(frames_TL[rows])
    return mel_TF, np.arange(num_frames) < num_valid


def _log_mel_of(frames_TL: np.ndarray) -> np.ndarray:
    # The transform in float32: its rounding shows between the harmonics of a loud tone, and so must be the same as
    # upstream's, which numpy >= 2 makes it. What follows is in float64, as there: the tower's layers amplify rounding.
    spectrum_TK = np.fft.rfft(frames_TL * _window(), n=FFT)
    return np.log(np.abs(spectrum_TK) @ _filters() + FLOOR)


@cache
def _window() -> np.ndarray:
    """A periodic Hann window: the symmetric one of one sample more, without its last."""
    return np.hanning(FRAME + 1)[:-1].astype(np.float32)


@cache
def _filters() -> np.ndarray:
    """[K, F], float64: bin j rises from edge j to edge j + 1 and falls to edge j + 2."""
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, NUM_MEL_BINS + 2) / 2595) - 1)
    hertz_K1 = np.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1)[:, None]
    rising_KF = (hertz_K1 - edges[:-2]) / np.diff(edges)[:-1]
    falling_KF = (edges[2:] - hertz_K1) / np.diff(edges)[1:]
    return np.maximum(0, np.minimum(rising_KF, falling_KF))
