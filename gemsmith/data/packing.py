"""Examples to batches: several to a row, kept apart by segment numbers, with only the answers as targets.

Numpy only. What a model does with `segments` (attend within, count positions within) is the model's affair.

    B rows   T tokens of a row   R targets of a row
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

IGNORED = -100  # the target value that cross-entropy skips, torch's default

Tokens = tuple[list[int], list[bool]]  # ids of one example, and which of them the model must produce


@dataclass(frozen=True)
class Batch:
    """Rows of packed examples. Target r of a row is predicted by the row's token `wanted[r]`."""

    ids: np.ndarray  # [B, T] int64; 0 where empty
    positions: np.ndarray  # [B, T] int64, counted within each example
    segments: np.ndarray  # [B, T] int64, from 1 within a row; 0 where empty
    wanted: np.ndarray  # [B, R] int64, ascending; T - 1 where unused
    targets: np.ndarray  # [B, R] int64; IGNORED where unused

    @property
    def num_targets(self) -> int:
        return int((self.targets != IGNORED).sum())


class _Row:
    """One row being filled: examples end to end while both tokens and targets fit."""

    def __init__(self, length: int, max_targets: int):
        self.length, self.max_targets = length, max_targets
        self.ids: list[int] = []
        self.positions: list[int] = []
        self.segments: list[int] = []
        self.wanted: list[int] = []
        self.targets: list[int] = []
        self.count = 0

    def add(self, ids: list[int], mask: list[bool]) -> bool:
        num_targets = sum(mask)
        if len(self.ids) + len(ids) > self.length or len(self.targets) + num_targets > self.max_targets:
            return False
        start = len(self.ids)
        self.count += 1
        self.ids += ids
        self.positions += range(len(ids))
        self.segments += [self.count] * len(ids)
        self.wanted += [start + i - 1 for i, wanted in enumerate(mask) if wanted]
        self.targets += [token for token, wanted in zip(ids, mask, strict=True) if wanted]
        return True


def pack(examples: Iterable[Tokens], *, rows: int, length: int, max_targets: int) -> Batch:
    """Draw examples until they would fill `rows` rows, then place them, longest first, wherever they fit.

    What fits nowhere is dropped: some short examples at the end. Examples longer than a row are passed over.
    """
    filling = [_Row(length, max_targets) for _ in range(rows)]
    for ids, mask in sorted(_enough(examples, rows, length, max_targets), key=lambda e: -len(e[0])):
        assert not mask[0], "the first token has nothing before it to be predicted from"
        any(row.add(ids, mask) for row in filling)
    return _stacked(filling, length, max_targets)


def _enough(examples: Iterable[Tokens], rows: int, length: int, max_targets: int) -> Iterator[Tokens]:
    num_tokens = num_targets = 0
    for ids, mask in examples:
        if len(ids) > length or sum(mask) > max_targets:
            continue
        num_tokens, num_targets = num_tokens + len(ids), num_targets + sum(mask)
        yield ids, mask
        if num_tokens >= rows * length or num_targets >= rows * max_targets:
            return


def _stacked(rows: list[_Row], length: int, max_targets: int) -> Batch:
    def filled(name: str, width: int, empty: int) -> np.ndarray:
        out = np.full((len(rows), width), empty, dtype=np.int64)
        for i, row in enumerate(rows):
            values = getattr(row, name)
            out[i, : len(values)] = values
        return out

    return Batch(
        ids=filled("ids", length, 0),
        positions=filled("positions", length, 0),
        segments=filled("segments", length, 0),
        wanted=filled("wanted", max_targets, length - 1),
        targets=filled("targets", max_targets, IGNORED),
    )
