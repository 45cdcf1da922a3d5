"""Packing: nothing lost on the way, nothing mixed up."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.data.packing import IGNORED, Tokens, pack

EXAMPLES = st.lists(st.integers(2, 12), min_size=1, max_size=30)


def example(number: int, length: int) -> Tokens:
    """Ids that tell where they come from; the second half is to be learnt."""
    return [100 * number + i for i in range(length)], [i >= (length + 1) // 2 for i in range(length)]


@given(lengths=EXAMPLES)
def test_rows_hold_whole_examples_with_their_targets(lengths: list[int]) -> None:
    examples = [example(n, length) for n, length in enumerate(lengths, start=1)]
    batch = pack(iter(examples), rows=3, length=20, max_targets=8)
    for row in range(3):
        for segment in range(1, batch.segments[row].max() + 1):
            at = np.flatnonzero(batch.segments[row] == segment)
            ids, mask = examples[batch.ids[row, at[0]] // 100 - 1]
            assert batch.ids[row, at].tolist() == ids
            assert batch.positions[row, at].tolist() == list(range(len(ids)))
            learnt = [(w, t) for w, t in zip(batch.wanted[row], batch.targets[row], strict=True) if w in at[:-1]]
            expected = [(at[i] - 1, ids[i]) for i in range(len(ids)) if mask[i]]
            assert [(w, t) for w, t in learnt if t != IGNORED] == expected


def test_draws_no_more_than_it_needs() -> None:
    stream = (example(n, 10) for n in range(1, 1000))
    batch = pack(stream, rows=2, length=20, max_targets=10)
    assert (batch.segments > 0).all()
    assert next(stream)[0][0] == 500


def test_what_is_longer_than_a_row_is_passed_over() -> None:
    batch = pack([example(1, 30), example(2, 10)], rows=1, length=20, max_targets=10)
    assert set(batch.ids[0] // 100) == {0, 2} and batch.num_targets == 5
