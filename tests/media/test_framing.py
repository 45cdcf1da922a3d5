"""Raw frames: every sample once, in order, and zeros after the last."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gemsmith.config.media import UnifiedAudioConfig
from gemsmith.media.framing import frames_of

LENGTHS = (1, 2, 639, 640, 641, 1279, 1280, 1281, 16_000, 480_000, 480_001)


@pytest.mark.parametrize("num_samples", [0, *LENGTHS])
def test_every_sample_stands_once(num_samples: int) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, num_samples).astype(np.float32)
    frames = frames_of(samples, 640)
    assert frames.dtype == np.float32
    assert frames.shape == (UnifiedAudioConfig().num_soft_tokens(num_samples), 640)
    np.testing.assert_array_equal(frames.reshape(-1)[:num_samples], samples)
    assert not frames.reshape(-1)[num_samples:].any()
    assert frames.size < num_samples + 640


@pytest.fixture(scope="module")
def theirs() -> Any:
    pytest.importorskip("transformers")
    from transformers.models.gemma4_unified.feature_extraction_gemma4_unified import Gemma4UnifiedAudioFeatureExtractor

    return Gemma4UnifiedAudioFeatureExtractor()


@pytest.mark.slow
@pytest.mark.parametrize("num_samples", LENGTHS)
def test_frames_equal_the_reference(num_samples: int, theirs: Any) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, num_samples).astype(np.float32)
    expected = theirs([samples])
    assert np.asarray(expected["input_features_mask"][0]).all()
    np.testing.assert_array_equal(frames_of(samples, 640), expected["input_features"][0])
