"""Gemma 4 31B: the large dense model.

Values of google/gemma-4-31B's config.json.
"""

from __future__ import annotations

from gemsmith.config.model import ModelConfig
from gemsmith.config.presets.parts import RELEASED, every_nth_full, large_vision
from gemsmith.config.text import TextConfig

DENSE_31B = ModelConfig(
    text=TextConfig(
        hidden_size=5376,
        intermediate_size=21_504,
        num_hidden_layers=60,
        layer_types=every_nth_full(60, 6),
        num_attention_heads=32,
        num_key_value_heads=16,
        num_global_key_value_heads=4,
        attention_k_eq_v=True,
        sliding_window=1024,
        max_position_embeddings=262_144,
        use_bidirectional_attention="vision",
    ),
    vision=large_vision(),
    **RELEASED,
)
