"""Gemma 4 E4B: per-layer embeddings, and K/V shared by the last 18 of 42 layers.

Values of google/gemma-4-E4B's config.json.
"""

from __future__ import annotations

from gemsmith.config.model import ModelConfig
from gemsmith.config.presets.parts import RELEASED, audio, every_nth_full, small_vision
from gemsmith.config.text import TextConfig

E4B = ModelConfig(
    text=TextConfig(
        hidden_size=2560,
        intermediate_size=10_240,
        num_hidden_layers=42,
        layer_types=every_nth_full(42, 6),
        num_attention_heads=8,
        num_key_value_heads=2,
        sliding_window=512,
        num_kv_shared_layers=18,
        hidden_size_per_layer_input=256,
    ),
    vision=small_vision(),
    audio=audio(),
    **RELEASED,
)
