"""Which frames are shown: transformers' rule for counts and rates, one a second by default, by time where uneven."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemsmith.errors import MediaError, RequestError
from gemsmith.media.choice import Wish, chosen, evenly, remark


def wish(frames: int | None = None, fps: float | None = None, most: int = 256) -> Wish:
    return Wish(frames, fps, most)


@pytest.mark.slow
def test_frames_are_those_that_transformers_takes() -> None:
    from transformers.video_utils import VideoMetadata, default_sample_indices_fn

    for total, rate in itertools.product(
        (1, 2, 31, 32, 33, 47, 100, 899, 1800, 100_003), (7.5, 24, 25, 30000 / 1001, 60)
    ):
        metadata = VideoMetadata(total_num_frames=total, fps=rate)
        seconds = np.arange(total) / rate
        for count in {min(count, total) for count in (1, 2, 3, 32, 60)}:
            theirs = default_sample_indices_fn(metadata, num_frames=count)
            assert chosen(seconds, total / rate, True, wish(count)) == theirs.tolist()
        for fps in (0.1, 0.5, 1, 2.5):
            if max(1, int(total / rate * fps)) <= min(total, 100_000):
                theirs = default_sample_indices_fn(metadata, fps=fps)
                assert chosen(seconds, total / rate, True, wish(fps=fps, most=100_000)) == theirs.tolist()


@settings(max_examples=15)
@given(st.integers(1, 5000), st.integers(1, 400))
def test_numbers_ascend_from_the_first_and_none_comes_twice(total: int, count: int) -> None:
    numbers = chosen(np.arange(total) / 25, total / 25, True, wish(count, most=400))
    assert numbers[0] == 0 and numbers == sorted(set(numbers)) and numbers[-1] < total
    assert len(numbers) == min(count, total)


def test_a_frame_a_second_up_to_sixty_is_the_default() -> None:
    for seconds, count in ((0.2, 1), (1, 1), (10, 10), (60, 60), (61, 60), (7200, 60)):
        total = round(seconds * 30)
        numbers = chosen(np.arange(total) / 30, total / 30, True, wish())
        assert numbers == evenly(total, count)
    assert len(chosen(np.arange(900) / 30, 30.0, True, wish(most=8))) == 8


def test_uneven_clips_are_shown_by_time() -> None:
    seconds = np.array([*np.arange(100) / 100, 5.0, 9.5])  # a moment that moves, then two pictures that stay
    assert chosen(seconds, 10.0, False, wish()) == [0, 99, 100]
    assert chosen(seconds, 10.0, False, wish(fps=2)) == [0, 50, 99, 100, 101]
    assert chosen(seconds, 10.0, False, wish(3)) == [0, 34, 68]  # a count is a count of frames
    assert chosen(seconds[98:], 10.0, False, wish()) == [0, 1, 2, 3]  # fewer than seconds: all


@pytest.mark.parametrize(
    ("asked", "shown", "total", "duration", "words"),
    [
        (wish(), 10, 300, 10.0, None),
        (
            wish(),
            60,
            3750,
            125.0,
            "The clip lasts 2 min 5 s, so 60 frames are shown, spread evenly, instead of one a second.",
        ),
        (wish(), 3, 3, 10.0, None),
        (
            wish(most=8),
            8,
            900,
            30.0,
            "The clip lasts 30 s, so 8 frames are shown, spread evenly, instead of one a second.",
        ),
        (wish(32), 32, 300, 10.0, None),
        (wish(32), 12, 12, 10.0, "The clip has only 12 frames, fewer than asked for; all are shown."),
        (wish(fps=30), 12, 12, 10.0, "The clip has only 12 frames, fewer than asked for; all are shown."),
    ],
)
def test_what_could_not_be_expected_is_remarked(
    asked: Wish, shown: int, total: int, duration: float, words: str | None
) -> None:
    assert remark(asked, shown, total, duration) == words


@pytest.mark.parametrize("frames", [0, -1, True, 2.0, "3"])
def test_counts_that_are_none_are_refused(frames: object) -> None:
    with pytest.raises(RequestError, match="frames is a count from 1"):
        Wish(frames, None, 256)  # type: ignore[arg-type]


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), "2", True])
def test_rates_that_are_none_are_refused(fps: object) -> None:
    with pytest.raises(RequestError, match="fps is a number of frames a second"):
        Wish(None, fps, 256)  # type: ignore[arg-type]


def test_frames_and_fps_together_are_refused() -> None:
    with pytest.raises(RequestError, match="leave one out"):
        wish(3, 2.0)


def test_more_frames_than_allowed_are_refused_and_not_left_out() -> None:
    for asked in (wish(300), wish(fps=30)):
        with pytest.raises(MediaError, match="300 frames of the clip were asked for") as refusal:
            chosen(np.arange(300) / 30, 10.0, True, asked)
        assert refusal.value.code == "media_too_large"
