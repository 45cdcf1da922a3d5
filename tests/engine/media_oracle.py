"""The other opinion on prompts with media: the expansion code of transformers' Gemma 4 processors.

Their classes want torchvision to be made whole, which nothing here needs; their methods that write text need none, so
they are called on a processor without its image and video halves, with counts as those would have reported them.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from gemsmith.media.prepared import Frames, Pixels, Prepared, Waveform

SIDE = 48


def processor(*, is_unified: bool) -> Any:
    """A processor that knows its tokens, and nothing else."""
    from transformers.models.gemma4.processing_gemma4 import Gemma4Processor
    from transformers.models.gemma4_unified.processing_gemma4_unified import Gemma4UnifiedProcessor

    made: Any = object.__new__(Gemma4UnifiedProcessor if is_unified else Gemma4Processor)
    made.boi_token, made.image_token, made.eoi_token = "<|image>", "<|image|>", "<image|>"
    made.boa_token, made.audio_token, made.eoa_token = "<|audio>", "<|audio|>", "<audio|>"
    made.video_token = "<|video|>"
    return made


@functools.cache
def heard(num_samples: int, *, is_unified: bool) -> Any:
    """Which frames of a sound of this length are real, as the feature extractor says."""
    from transformers.models.gemma4.feature_extraction_gemma4 import Gemma4AudioFeatureExtractor
    from transformers.models.gemma4_unified.feature_extraction_gemma4_unified import (
        Gemma4UnifiedAudioFeatureExtractor,
    )

    extractor: Any = Gemma4UnifiedAudioFeatureExtractor() if is_unified else Gemma4AudioFeatureExtractor()
    features = extractor([np.zeros(num_samples, np.float32)], sampling_rate=16_000)
    return np.asarray(features["input_features_mask"][0])


def expanded(text: str, media: Sequence[Prepared], *, is_unified: bool) -> str:
    """A template's text with its placeholders written out for these media, in order of their kinds."""
    it = processor(is_unified=is_unified)
    images = [_tokens(each.rgb) for each in media if isinstance(each, Pixels)]
    frames = [each for each in media if isinstance(each, Frames)]
    sounds = [each.samples for each in media if isinstance(each, Waveform)]
    videos: dict[str, Any] = {
        "num_soft_tokens_per_video": [_tokens(each.rgb) for each in frames],
        "video_metadata": [_metadata(each.seconds) for each in frames],
    }
    masks = [heard(len(each), is_unified=is_unified) for each in sounds]
    (out,), _ = it.get_text_with_replacements(
        [text],
        [it.replace_image_token({"num_soft_tokens_per_image": images}, number) for number in range(len(images))],
        [it.replace_video_token(videos, number) for number in range(len(frames))],
        [it.replace_audio_token({"input_features_mask": [mask]}, 0) for mask in masks],
    )
    return str(out)


def _tokens(rgb: np.ndarray) -> int:
    height, width = rgb.shape[-3:-1]
    return height * width // SIDE**2


def _metadata(seconds: Sequence[float]) -> Any:
    """Frames a second and numbers of frames that give these times."""
    from transformers.video_utils import VideoMetadata

    return VideoMetadata(total_num_frames=1, fps=4.0, frames_indices=[round(each * 4) for each in seconds])
