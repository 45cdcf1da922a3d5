"""Cutting of long sounds: pieces are the whole, none is too long, and cuts fall where it is quiet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemsmith.errors import RequestError
from gemsmith.media.cut import cut, starts
from gemsmith.media.prepared import SAMPLE_RATE, Waveform


def speech(*parts: tuple[float, float]) -> Waveform:
    """Noise of (seconds, level) one after another."""
    random = np.random.default_rng(0)
    pieces = [level * random.uniform(-1, 1, round(seconds * SAMPLE_RATE)) for seconds, level in parts]
    return Waveform(np.concatenate(pieces).astype(np.float32))


@pytest.mark.slow
@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.floats(0.01, 4), st.sampled_from([0.0, 1e-6, 0.02, 0.5])), min_size=1, max_size=8),
    st.floats(1, 5),
)
def test_pieces_are_the_whole_and_none_is_too_long(parts: list[tuple[float, float]], most: float) -> None:
    whole = speech(*parts)
    pieces = cut(whole, most)
    np.testing.assert_array_equal(np.concatenate([piece.samples for piece in pieces]), whole.samples)
    assert all(0 < piece.seconds <= most for piece in pieces)
    assert pieces == cut(whole, most)
    assert len(pieces) <= whole.seconds / (most * 2 / 3) + 2  # cut late: a piece has two thirds of what it may have


def test_a_short_sound_stays_as_it_is() -> None:
    whole = speech((30, 0.5))
    assert cut(whole) == (whole,)


def test_cuts_fall_in_the_middle_of_the_rest() -> None:
    pieces = cut(speech((24, 0.5), (1, 0.001), (20, 0.5), (2, 0.001), (10, 0.5)))
    assert starts(pieces) == pytest.approx([0, 24.5, 46], abs=0.05)


def test_the_quietest_rest_wins_over_a_later_one() -> None:
    assert starts(cut(speech((22, 0.5), (0.5, 0.001), (4, 0.5), (0.5, 0.1), (10, 0.5))))[1] == pytest.approx(
        22.25, abs=0.05
    )


def test_a_rest_shorter_than_between_words_is_no_place_to_cut() -> None:
    pieces = cut(speech((21, 0.5), (0.05, 0.0), (4, 0.5), (0.4, 0.01), (20, 0.5)))
    assert starts(pieces)[1] == pytest.approx(25.25, abs=0.06)


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_what_is_as_loud_everywhere_is_cut_as_late_as_may_be(level: float) -> None:
    whole = Waveform(np.full(70 * SAMPLE_RATE, level, np.float32))
    assert [piece.seconds for piece in cut(whole)] == [30, 30, 10]


def test_the_last_piece_is_long_enough_to_hear() -> None:
    whole = Waveform(np.zeros(30 * SAMPLE_RATE + 2, np.float32))
    assert [round(piece.seconds, 1) for piece in cut(whole)] == [29.5, 0.5]


def test_silence_in_a_long_stretch_is_cut_in_its_middle() -> None:
    assert starts(cut(speech((15, 0.5), (9, 0.0), (20, 0.5))))[1] == pytest.approx(22.0, abs=0.1)


@pytest.mark.parametrize("most", [0, 0.5, -3, float("nan")])
def test_pieces_shorter_than_a_second_are_refused(most: float) -> None:
    with pytest.raises(RequestError, match="1 s long or longer"):
        cut(speech((3, 0.5)), most)
