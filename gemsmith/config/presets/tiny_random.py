"""tiny-random: each released size with every number made small, for tests in which weights need no meaning.

A size keeps what makes it that size (K/V sharing, double-wide MLP, K=V, experts, towers, clips); only widths, counts
and the pattern of layers shrink. The vocabulary is pebble's size, so that pebble's tokenizer fits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gemsmith.config.media import AudioConfig, UnifiedAudioConfig, UnifiedVisionConfig, VisionConfig
from gemsmith.config.model import ModelConfig
from gemsmith.config.presets import dense_31b, e2b, e4b, moe_26b_a4b, unified_12b
from gemsmith.config.presets.parts import SMALL_IDS, SMALL_VOCAB_SIZE
from gemsmith.config.text import FULL, SLIDING


def _tiny(released: ModelConfig, pattern: str, **text: Any) -> ModelConfig:
    """`released` made small; `pattern` says "s" or "f" for every layer."""
    layer_types = tuple({"s": SLIDING, "f": FULL}[letter] for letter in pattern)
    small: dict[str, Any] = {
        "vocab_size": SMALL_VOCAB_SIZE,
        "vocab_size_per_layer_input": min(SMALL_VOCAB_SIZE, released.text.vocab_size_per_layer_input),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": len(layer_types),
        "layer_types": layer_types,
        "num_attention_heads": 4,
        "head_dim": 16,
        "global_head_dim": 32,
        "sliding_window": 8,
        "max_position_embeddings": 2048,
    }
    return replace(
        released,
        text=replace(released.text, **small | text),
        vision=_tiny_vision(released.vision),
        audio=_tiny_audio(released.audio),
        **SMALL_IDS,
    )


def _tiny_vision(released: VisionConfig | UnifiedVisionConfig | None) -> VisionConfig | UnifiedVisionConfig | None:
    if isinstance(released, UnifiedVisionConfig):
        return replace(released, mm_embed_dim=32, output_proj_dims=32, mm_posemb_size=280)
    if isinstance(released, VisionConfig):
        heads: dict[str, Any] = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
        sizes: dict[str, Any] = {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "position_embedding_size": 840,
        }
        return replace(released, **heads, **sizes)
    return None


def _tiny_audio(released: AudioConfig | UnifiedAudioConfig | None) -> AudioConfig | UnifiedAudioConfig | None:
    if not isinstance(released, AudioConfig):
        return released
    return replace(
        released,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        subsampling_conv_channels=(128, 4),  # transformers takes the first for the number of mel bins
        output_proj_dims=48,
    )


E2B = _tiny(e2b.E2B, "ssfssf", num_kv_shared_layers=3, hidden_size_per_layer_input=8)
E4B = _tiny(e4b.E4B, "ssfssf", num_kv_shared_layers=3, hidden_size_per_layer_input=8)
UNIFIED_12B = _tiny(unified_12b.UNIFIED_12B, "sssf", num_key_value_heads=2)
MOE_26B_A4B = _tiny(
    moe_26b_a4b.MOE_26B_A4B,
    "ssf",
    num_key_value_heads=2,
    num_global_key_value_heads=1,
    num_experts=8,
    top_k_experts=2,
    moe_intermediate_size=16,
)
DENSE_31B = _tiny(dense_31b.DENSE_31B, "sfsf", num_key_value_heads=2, num_global_key_value_heads=1)
