"""Log-mel frames: laws of our own, and `transformers`' front end as the other opinion."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time
from typing import Any

import numpy as np
import pytest

from gemsmith.config.media import AudioConfig
from gemsmith.media.mel import log_mel

SECOND = 16_000
SIGNALS = ("silence", "tone", "quiet tone", "noise", "clicks", "square", "full", "sweep")
# below, at and above every edge: a multiple of 128, a frame, a soft token, thirty seconds
SHORT = (0, 1, 2, 127, 128, 129, 159, 160, 161, 255, 256, 257, 319, 320, 321, 480, 481, 640, 641, 800, 801, 1000)
LONG = (4_095, SECOND, SECOND + 1, 48_000, 99_999, 30 * SECOND - 1, 30 * SECOND)


def sound(signal: str, num_samples: int) -> np.ndarray:
    """So many samples of it, float32, at most ±1."""
    t = np.arange(num_samples) / SECOND
    samples = {
        "silence": lambda: np.zeros(num_samples),
        "tone": lambda: np.sin(2 * np.pi * 997 * t),
        "quiet tone": lambda: 1e-4 * np.sin(2 * np.pi * 440 * t),
        "noise": lambda: np.random.default_rng(num_samples).uniform(-1, 1, num_samples),
        "clicks": lambda: np.arange(num_samples) % 777 == 3,
        "square": lambda: np.where(np.sin(2 * np.pi * 100 * t) < 0, -1.0, 1.0),
        "full": lambda: np.ones(num_samples),
        "sweep": lambda: np.sin(2 * np.pi * (50 + 130 * t) * t),
    }[signal]()
    return samples.astype(np.float32)


@pytest.mark.parametrize("num_samples", [*SHORT, SECOND])
def test_silence_is_the_floor(num_samples: int) -> None:
    mel, valid = log_mel(np.zeros(num_samples, np.float32))
    assert mel.shape == (len(valid), 128) and mel.dtype == np.float32 and valid.dtype == bool
    assert not mel[~valid].any()
    np.testing.assert_allclose(mel[valid], np.log(1e-3), rtol=1e-6)


def test_a_tone_is_loudest_in_its_bin() -> None:
    mel, valid = log_mel(sound("tone", SECOND))
    heights = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 130) / 2595) - 1)
    assert abs(heights[1:-1][mel[valid].mean(0).argmax()] - 997) < 40


def test_frames_stand_where_their_sounds_are() -> None:
    click = np.zeros(SECOND, np.float32)
    click[50 * 160] = 1
    mel, _ = log_mel(click)
    assert np.flatnonzero(mel.max(1) > -6).tolist() == [50]  # the window's middle; it is zero at its neighbours'


def test_longer_than_thirty_seconds_is_not_cut() -> None:
    samples = sound("noise", 31 * SECOND)
    mel, valid = log_mel(samples)
    assert valid.sum() == 3099
    np.testing.assert_array_equal(mel[3000:3099], log_mel(samples[2990 * 160 :])[0][10:109])


def test_input_of_any_kind_is_left_as_it_was() -> None:
    samples = sound("noise", 5000)
    before = samples.copy()
    for same in (samples, samples.astype(np.float64), np.repeat(samples, 2)[::2], samples.tolist()):
        np.testing.assert_array_equal(log_mel(same)[0], log_mel(before)[0])
    np.testing.assert_array_equal(samples, before)


def test_valid_frames_are_those_that_soft_tokens_are_counted_from() -> None:
    for num_samples in (*SHORT, *LONG[:4]):
        valid = log_mel(np.zeros(num_samples, np.float32))[1]
        assert valid[::2][::2].sum() == AudioConfig().num_soft_tokens(num_samples)


@pytest.fixture(scope="module")
def theirs() -> Any:
    return pytest.importorskip("transformers").Gemma4AudioFeatureExtractor()


@pytest.mark.slow
@pytest.mark.parametrize("signal", SIGNALS)
def test_frames_and_masks_equal_the_reference(signal: str, theirs: Any) -> None:
    # thirty seconds of one signal are as good as of any other, and take a tenth of a second
    for num_samples in (*SHORT, *(LONG if signal in ("tone", "noise") else LONG[:3])):
        samples = sound(signal, num_samples)
        expected = theirs([samples])
        mel, valid = log_mel(samples)
        np.testing.assert_array_equal(valid, expected["input_features_mask"][0])
        assert mel.shape == expected["input_features"][0].shape
        np.testing.assert_allclose(mel, expected["input_features"][0], rtol=0, atol=5e-7)  # one last place


@pytest.mark.slow
def test_a_minute_is_prepared_as_fast_as_by_the_reference(theirs: Any) -> None:
    minute = sound("noise", 60 * SECOND)

    def seconds(prepare: Callable[[], object]) -> float:
        start = process_time()
        prepare()
        return process_time() - start

    # in turns, and the best of each: whatever else the machine does then meets both
    pairs = [(seconds(lambda: log_mel(minute)), seconds(lambda: theirs([minute], truncation=False))) for _ in range(7)]
    ours, reference = (min(times) for times in zip(*pairs, strict=True))
    assert ours <= reference, f"{ours * 1000:.0f} ms, but transformers takes {reference * 1000:.0f} ms"
