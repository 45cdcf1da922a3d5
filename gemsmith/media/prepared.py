"""What media become before a model sees or hears them: plain arrays, with nothing of a file or a model in them.

H height   W width   F frames   n samples
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np

SAMPLE_RATE = 16_000  # samples a second of every waveform


class Content:
    """Equality means the same content, however it came here; `digest` names it."""

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of kind, shape and numbers."""
        sum_ = sha256(type(self).__name__.encode())
        for part in self._content():
            sum_.update(f"{getattr(part, 'shape', '')}{getattr(part, 'dtype', '')}".encode())
            sum_.update(np.ascontiguousarray(part).data if isinstance(part, np.ndarray) else repr(part).encode())
        return sum_.digest()

    def _content(self) -> Iterator[object]:
        yield from vars(self).values()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


@dataclass(frozen=True, eq=False)
class Pixels(Content):
    """One picture, or one page: `rgb` uint8 [H, W, 3], already resized to its token budget (sides multiples of 48).

    `size` is (width, height) of the picture it was made from, upright, in pixels: what boxes are given in.
    """

    rgb: np.ndarray
    size: tuple[int, int]

    def _content(self) -> Iterator[object]:
        yield from (self.rgb, self.size)


@dataclass(frozen=True, eq=False)
class Frames(Content):
    """Frames of a clip: `rgb` uint8 [F, H, W, 3], resized like pictures; `seconds` [F] says when each was shown."""

    rgb: np.ndarray
    seconds: tuple[float, ...]
    size: tuple[int, int]

    def _content(self) -> Iterator[object]:
        yield from (self.rgb, self.seconds, self.size)


@dataclass(frozen=True, eq=False)
class Waveform(Content):
    """Sound: `samples` float32 [n] in [-1, 1], mono, 16,000 a second. Whole, however long."""

    samples: np.ndarray

    def _content(self) -> Iterator[object]:
        yield self.samples

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


Prepared = Pixels | Frames | Waveform
