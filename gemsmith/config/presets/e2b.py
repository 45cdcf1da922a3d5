"""Gemma 4 E2B: per-layer embeddings, and K/V shared by the last 20 of 35 layers.

Values of google/gemma-4-E2B's config.json.
"""

from __future__ import annotations

from gemsmith.config.model import ModelConfig
from gemsmith.config.presets.parts import RELEASED, audio, every_nth_full, small_vision
from gemsmith.config.text import TextConfig

E2B = ModelConfig(
    text=TextConfig(
        hidden_size=1536,
        intermediate_size=6144,
        use_double_wide_mlp=True,
        num_hidden_layers=35,
        layer_types=every_nth_full(35, 5),
        num_attention_heads=8,
        num_key_value_heads=1,
        sliding_window=512,
        num_kv_shared_layers=20,
        hidden_size_per_layer_input=256,
    ),
    vision=small_vision(),
    audio=audio(),
    **RELEASED,
)
