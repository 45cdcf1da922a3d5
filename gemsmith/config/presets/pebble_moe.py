"""pebble-moe: the small 26B-A4B, with experts and with one projection for keys and values in full layers."""

from __future__ import annotations

from gemsmith.config.model import ModelConfig
from gemsmith.config.presets.parts import SMALL_IDS, SMALL_VOCAB_SIZE, every_nth_full
from gemsmith.config.text import TextConfig

PEBBLE_MOE = ModelConfig(
    text=TextConfig(
        vocab_size=SMALL_VOCAB_SIZE,
        hidden_size=192,
        intermediate_size=256,
        num_hidden_layers=6,
        layer_types=every_nth_full(6, 3),
        num_attention_heads=4,
        num_key_value_heads=2,
        num_global_key_value_heads=1,
        attention_k_eq_v=True,
        head_dim=32,
        global_head_dim=64,
        sliding_window=64,
        enable_moe_block=True,
        num_experts=8,
        top_k_experts=2,
        moe_intermediate_size=128,
        vocab_size_per_layer_input=SMALL_VOCAB_SIZE,
        max_position_embeddings=2048,
        use_bidirectional_attention="vision",
    ),
    **SMALL_IDS,
)
