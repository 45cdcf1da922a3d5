"""pebble: a small Gemma 4 with every feature of E2B's text model, trained by this repository."""

from __future__ import annotations

from gemsmith.config.model import ModelConfig
from gemsmith.config.presets.parts import SMALL_IDS, SMALL_VOCAB_SIZE
from gemsmith.config.text import FULL, SLIDING, TextConfig

PEBBLE = ModelConfig(
    text=TextConfig(
        vocab_size=SMALL_VOCAB_SIZE,
        hidden_size=192,
        intermediate_size=512,
        use_double_wide_mlp=True,
        num_hidden_layers=8,
        layer_types=(SLIDING, SLIDING, FULL, SLIDING, FULL, SLIDING, SLIDING, FULL),
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=32,
        global_head_dim=64,
        sliding_window=64,
        num_kv_shared_layers=3,
        hidden_size_per_layer_input=16,
        vocab_size_per_layer_input=SMALL_VOCAB_SIZE,
        max_position_embeddings=2048,
    ),
    **SMALL_IDS,
)
