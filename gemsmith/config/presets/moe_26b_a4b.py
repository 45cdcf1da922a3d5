"""Gemma 4 26B-A4B: a dense branch beside 128 experts of which each token uses 8.

Values of google/gemma-4-26B-A4B's config.json.
"""

from __future__ import annotations

from gemsmith.config.model import ModelConfig
from gemsmith.config.presets.parts import RELEASED, every_nth_full, large_vision
from gemsmith.config.text import TextConfig

MOE_26B_A4B = ModelConfig(
    text=TextConfig(
        hidden_size=2816,
        intermediate_size=2112,
        num_hidden_layers=30,
        layer_types=every_nth_full(30, 6),
        num_attention_heads=16,
        num_key_value_heads=8,
        num_global_key_value_heads=2,
        attention_k_eq_v=True,
        sliding_window=1024,
        enable_moe_block=True,
        num_experts=128,
        top_k_experts=8,
        moe_intermediate_size=704,
        max_position_embeddings=262_144,
        use_bidirectional_attention="vision",
    ),
    vision=large_vision(),
    **RELEASED,
)
