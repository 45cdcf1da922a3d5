"""Raw frames: a sound cut into pieces of equal length, for models that hear samples themselves. Numpy only."""

from __future__ import annotations

import numpy as np


def frames_of(samples: np.ndarray, size: int) -> np.ndarray:
    """Samples [n] as float32 [T, size], T = n / size rounded up; the last frame ends in zeros. Nothing is cut off."""
    frames = np.zeros((-(-len(samples) // size), size), dtype=np.float32)
    frames.reshape(-1)[: len(samples)] = samples
    return frames
