"""How many soft tokens a sound becomes, known from its length alone: by definition, and as `transformers` counts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gemsmith.config.media import AudioConfig, UnifiedAudioConfig

THIRTY_SECONDS = 480_000


def test_a_token_lasts_forty_milliseconds() -> None:
    tower, raw = AudioConfig(), UnifiedAudioConfig()
    assert [tower.num_soft_tokens(n) for n in (0, 1, 160, 161, 640, 641, 801, 16_000)] == [0, 0, 0, 1, 1, 1, 2, 25]
    assert [raw.num_soft_tokens(n) for n in (0, 1, 640, 641, 16_000)] == [0, 1, 1, 2, 25]
    assert tower.num_soft_tokens(THIRTY_SECONDS) == raw.num_soft_tokens(THIRTY_SECONDS) == 750
    assert tower.num_soft_tokens(2 * THIRTY_SECONDS) == raw.num_soft_tokens(2 * THIRTY_SECONDS) == 1500


@pytest.mark.slow
def test_every_length_is_counted_as_by_the_reference() -> None:
    pytest.importorskip("transformers")
    from transformers.models.gemma4.processing_gemma4 import Gemma4Processor
    from transformers.models.gemma4_unified.processing_gemma4_unified import Gemma4UnifiedProcessor

    front_end = SimpleNamespace(frame_length=320, hop_length=160, audio_samples_per_token=640)
    processor: Any = SimpleNamespace(feature_extractor=front_end, audio_seq_length=750)
    for ours, theirs in ((AudioConfig(), Gemma4Processor), (UnifiedAudioConfig(), Gemma4UnifiedProcessor)):
        count = theirs._compute_audio_num_tokens
        # past the first second in steps that meet every remainder of a frame, of a token and of 128
        for n in (*range(16_001), *range(16_001, THIRTY_SECONDS, 37), THIRTY_SECONDS - 1, THIRTY_SECONDS):
            assert ours.num_soft_tokens(n) == count(processor, range(n), 16_000), n


@pytest.mark.slow
@pytest.mark.parametrize("num_samples", [129, 160, 161, 640, 641, 801, 4_095, 7_681, 16_000, THIRTY_SECONDS])
def test_the_prompt_of_the_reference_has_as_many(num_samples: int) -> None:
    transformers = pytest.importorskip("transformers")
    from transformers.models.gemma4.processing_gemma4 import Gemma4Processor

    inputs = transformers.Gemma4AudioFeatureExtractor()([np.zeros(num_samples, np.float32)])
    names: Any = SimpleNamespace(boa_token="(", audio_token="a", eoa_token=")")
    text = Gemma4Processor.replace_audio_token(names, inputs, 0)
    assert text == "(" + "a" * AudioConfig().num_soft_tokens(num_samples) + ")"
