"""A prompt in stretches of bounded length, each with the soft tokens that go into it. No item's are parted.

T ids
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gemsmith.runtime.places import Placeholders, chunks
from gemsmith.runtime.protocol import Soft


def stretches(
    ids: Sequence[int], soft: Sequence[Soft], places: Placeholders, most: int
) -> Iterator[tuple[Sequence[int], Sequence[Soft]]]:
    """(ids, soft tokens) in order: at most `most` ids, or one clip, picture or sound that is longer."""
    if not soft:
        yield from ((ids[start:end], ()) for start, end in chunks(len(ids), most))
        return
    item_T, ends = _items(ids, soft, places), np.cumsum([len(each) for each in soft])
    are_soft_T = places.are_soft(ids)
    for start, end in chunks(len(ids), most, item_T):
        first, last = (int(np.searchsorted(ends, int(are_soft_T[:at].sum()), "right")) for at in (start, end))
        yield ids[start:end], soft[first:last]


def _items(ids: Sequence[int], soft: Sequence[Soft], places: Placeholders) -> np.ndarray:
    """Which of the soft tokens each id is for, int64 [T]: a clip's from its first frame to its last; -1 for none."""
    at = np.flatnonzero(places.are_soft(ids))
    item_T, done = np.full(len(ids), -1), 0
    for number, each in enumerate(soft):
        item_T[at[done] : at[done + len(each) - 1] + 1] = number
        done += len(each)
    return item_T
