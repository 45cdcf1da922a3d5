"""Gemma 4 12B, "unified": no towers, and one projection for keys and values in full layers.

Values of google/gemma-4-12B's config.json.
"""

from __future__ import annotations

from gemsmith.config.media import UnifiedAudioConfig, UnifiedVisionConfig
from gemsmith.config.model import ModelConfig
from gemsmith.config.presets.parts import RELEASED, every_nth_full
from gemsmith.config.text import TextConfig

UNIFIED_12B = ModelConfig(
    model_type="gemma4_unified",
    text=TextConfig(
        model_type="gemma4_unified_text",
        hidden_size=3840,
        intermediate_size=15_360,
        num_hidden_layers=48,
        layer_types=every_nth_full(48, 6),
        num_attention_heads=16,
        num_key_value_heads=8,
        num_global_key_value_heads=1,
        attention_k_eq_v=True,
        sliding_window=1024,
        vocab_size_per_layer_input=0,
        max_position_embeddings=262_144,
        use_bidirectional_attention="vision",
    ),
    vision=UnifiedVisionConfig(),
    audio=UnifiedAudioConfig(),
    **RELEASED,
)
