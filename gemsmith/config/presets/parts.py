"""What several presets have in common: patterns of layers, towers, token ids."""

from __future__ import annotations

from typing import Any

from gemsmith.config.media import AudioConfig, VisionConfig
from gemsmith.config.text import FULL, SLIDING

# Stop ids as config.json of the multimodal checkpoints names them; generation_config.json adds one (50).
RELEASED: dict[str, Any] = {"eos_token_id": (1, 106), "vision_soft_tokens_per_image": 280}

# A vocabulary of 4,096: the control tokens of text keep Gemma's ids (all below 256), those of media end the table.
SMALL_VOCAB_SIZE = 4096
SMALL_IDS: dict[str, Any] = {
    "boi_token_id": 4089,
    "image_token_id": 4090,
    "eoi_token_id": 4091,
    "boa_token_id": 4092,
    "audio_token_id": 4093,
    "eoa_token_id": 4094,
    "video_token_id": 4095,
    "eos_token_id": (1, 106),
}


def every_nth_full(num_layers: int, n: int) -> tuple[str, ...]:
    """n-1 sliding layers, then a full one, over and over."""
    return tuple(FULL if i % n == n - 1 else SLIDING for i in range(num_layers))


def small_vision() -> VisionConfig:
    """The vision tower of E2B and E4B: 150 M parameters, whose linears clip."""
    return VisionConfig(use_clipped_linears=True)


def large_vision() -> VisionConfig:
    """The vision tower of 26B-A4B and 31B: 550 M parameters, whose output is standardised."""
    return VisionConfig(
        hidden_size=1152,
        intermediate_size=4304,
        num_hidden_layers=27,
        num_attention_heads=16,
        num_key_value_heads=16,
        head_dim=72,
        standardize=True,
    )


def audio() -> AudioConfig:
    """The audio tower of E2B and E4B: 305 M parameters."""
    return AudioConfig()
