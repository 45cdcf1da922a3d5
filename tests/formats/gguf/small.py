"""Small checkpoints to write as GGUF: random weights of every size's shape, without torch and in milliseconds."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from gemsmith.config import ModelConfig, preset
from gemsmith.config.tensors import text_tensors
from gemsmith.formats.tensor import TensorView
from gemsmith.hub.names import DEFAULT_TOKENIZER
from gemsmith.tokenizer import json_vocabulary
from gemsmith.tokenizer.vocabulary import Vocabulary

SIZES = ("e2b", "e4b", "12b", "26b-a4b", "31b")


def text_only(name: str, dtype: str = "float32") -> ModelConfig:
    """The text model of a preset, as the config of a checkpoint that has no senses."""
    text = replace(preset(name).text, dtype=dtype)
    return ModelConfig(text=text, model_type=text.model_type, dtype=dtype, **dict.fromkeys(_MEDIA_IDS))


@cache
def random_tensors(name: str, seed: int = 0) -> dict[str, TensorView]:
    """Tensors of the preset's text model in float32: matrices that keep the size of what they turn, norms near 1."""
    numbers = np.random.default_rng(seed)
    out = {}
    for tensor, shape in text_tensors(preset(name).text).items():
        array = numbers.standard_normal(shape, np.float32)
        array = 1 + 0.2 * array if len(shape) == 1 else array * np.float32(1.5 * shape[-1] ** -0.5)
        out[tensor] = TensorView(tensor, shape, "F32", memoryview(array.astype("<f4").tobytes()))
    return out


@cache
def vocabulary() -> Vocabulary:
    """pebble's, which fits every tiny model."""
    return json_vocabulary.read(Path(DEFAULT_TOKENIZER))


_MEDIA_IDS = (
    "boi_token_id",
    "eoi_token_id",
    "image_token_id",
    "video_token_id",
    "boa_token_id",
    "eoa_token_id",
    "audio_token_id",
)
