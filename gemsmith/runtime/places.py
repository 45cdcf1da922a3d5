"""Where soft tokens go: placeholder ids among a prompt's, the two-way blocks they form, chunks that split no block.

Numbers only; which rows go there is the runtime's own affair.

    T ids
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gemsmith.config import ModelConfig


@dataclass(frozen=True)
class Placeholders:
    """The ids that stand for soft tokens: of pictures and frames, and of sound."""

    vision: tuple[int, ...] = ()
    audio: tuple[int, ...] = ()

    @classmethod
    def of(cls, config: ModelConfig) -> Placeholders:
        """Those of the senses that the model has."""
        vision = (config.image_token_id, config.video_token_id) if config.vision else ()
        audio = (config.audio_token_id,) if config.audio else ()
        return cls(tuple(i for i in vision if i is not None), tuple(i for i in audio if i is not None))

    def are_soft(self, ids: Sequence[int]) -> np.ndarray:
        """Which ids are placeholders, bool [T]."""
        return np.isin(ids, (*self.vision, *self.audio))

    def blocks(self, ids: Sequence[int]) -> np.ndarray:
        """Numbers of the runs of picture and frame placeholders, from 0; -1 elsewhere: int64 [T]."""
        seen = np.isin(ids, self.vision)
        starts = seen & ~np.concatenate([[False], seen[:-1]])
        return np.where(seen, np.cumsum(starts) - 1, -1)


def chunks(length: int, most: int, blocks: np.ndarray | None = None) -> Iterator[tuple[int, int]]:
    """Starts and ends of successive chunks of at most `most` rows; none ends inside a block.

    A block that is longer than `most` is a chunk by itself.
    """
    start = 0
    while start < length:
        end = min(start + most, length)
        if blocks is not None and end < length and blocks[end] >= 0 and blocks[end] == blocks[end - 1]:
            of_block = np.flatnonzero(blocks == blocks[end])
            end = int(of_block[0]) if of_block[0] > start else int(of_block[-1]) + 1
        yield start, end
        start = end
