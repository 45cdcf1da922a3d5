"""What a config costs, from the config alone: parameters, floating-point operations, bytes of keys and values.

FLOPs. One multiply-add is 2 FLOPs. Counted are matrix products with weights, the two products of attention (queries
with keys, probabilities with values, over exactly the positions that the causal mask and the window leave), and the
head where logits are wanted. Norms, rotations, softmax and table look-ups are not: together they stay below 1 % at
the released sizes.

The skip of a prompt. Layers that share K/V leave nothing behind, so a prompt token whose logits nobody wants may stop
after the last layer that makes K/V (`skip_shared=True`, what gemsmith does; 3.2 times less work on E2B). Its per-layer
inputs are still computed for all layers, in one product. `skip_shared=False` runs every layer for every token. What no
engine can do without is `least_flops_per_prompt`, and measured speeds are compared with that: of the last layer that
makes K/V, only they are needed of such a token, and per-layer inputs only of the layers before it.

K/V bytes. See `kv_bytes`: the formula that gemsmith's caches follow when they allocate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from gemsmith.config.model import ModelConfig
from gemsmith.config.tensors import TEXT_PREFIX, dead_tensors, media_tensors, text_tensors
from gemsmith.config.text import LayerConfig, TextConfig

COMPONENTS = {  # a text tensor belongs to the first component one of whose marks is in its name
    "ple_table": ("embed_tokens_per_layer.",),
    "token_embedding": ("embed_tokens.",),
    "ple_context": ("per_layer_model_projection.", "per_layer_projection_norm."),
    "ple_layers": (".per_layer_input_gate.", ".per_layer_projection.", ".post_per_layer_input_norm."),
    "attention": (".self_attn.",),  # with its norms of queries and keys
    "norms_and_scalars": ("norm", ".layer_scalar"),
    "dense_mlp": (".mlp.",),
    "experts": (".experts.",),
    "router": (".router.",),
}
ORDER = (
    *("token_embedding", "ple_table", "ple_context", "ple_layers"),
    *("attention", "dense_mlp", "experts", "router", "norms_and_scalars"),
    *("dead_kv", "vision", "audio"),
)
TEXT_COMPONENTS = ORDER[:9]


def parameters(config: ModelConfig, *, include_dead: bool = True) -> dict[str, int]:
    """Numbers stored, by component; components do not overlap, so that their sum is the whole file's.

    `include_dead` counts the K/V projections that released E2B and E4B files carry for layers that never use them.
    Components a model lacks are left out. The tied head is the token embedding; clip scalars count one each.
    """
    counts = dict.fromkeys(ORDER, 0)
    for name, shape in text_tensors(config.text).items():
        counts[_component(name.removeprefix(TEXT_PREFIX))] += math.prod(shape)
    if include_dead:
        counts["dead_kv"] = sum(map(math.prod, dead_tensors(config.text).values()))
    for name, shape in media_tensors(config).items():
        counts["vision" if "vision" in name else "audio"] += math.prod(shape)
    return {component: count for component, count in counts.items() if count}


def total_parameters(config: ModelConfig, *, include_dead: bool = True) -> int:
    """Numbers in the whole file."""
    return sum(parameters(config, include_dead=include_dead).values())


def text_parameters(config: ModelConfig) -> int:
    """Numbers of the text decoder, without those that nothing uses."""
    counts = parameters(config, include_dead=False)
    return sum(counts.get(component, 0) for component in TEXT_COMPONENTS)


def effective_parameters(config: ModelConfig) -> int:
    """The text decoder without its per-layer embedding table, which can stay on disk (the "E" of E2B)."""
    return text_parameters(config) - parameters(config).get("ple_table", 0)


def active_parameters(config: ModelConfig) -> int:
    """Of the effective ones, those that a token passes through: experts that are not chosen do not count."""
    text, experts = config.text, parameters(config).get("experts", 0)
    if not text.enable_moe_block:
        return effective_parameters(config)
    assert text.num_experts is not None and text.top_k_experts is not None
    return effective_parameters(config) - experts // text.num_experts * (text.num_experts - text.top_k_experts)


def flops_per_prompt_token(config: ModelConfig | TextConfig, position: int, *, skip_shared: bool = True) -> int:
    """FLOPs of the prompt token at `position` (from 0), whose logits nobody wants."""
    text = _text(config)
    return _flops(text, position, position + 1, text.num_kv_layers if skip_shared else text.num_hidden_layers)


def flops_per_prompt(config: ModelConfig | TextConfig, length: int, *, skip_shared: bool = True) -> int:
    """FLOPs of a prompt of `length` tokens, with logits wanted for the last one only."""
    text = _text(config)
    depth = text.num_kv_layers if skip_shared else text.num_hidden_layers
    return _flops(text, 0, length - 1, depth) + flops_per_generated_token(text, length)


def least_flops_per_prompt(config: ModelConfig | TextConfig, length: int, *, start: int = 0) -> int:
    """The least FLOPs that a prompt of `length` tokens behind `start` others takes, one logit row wanted at its end."""
    text, end = _text(config), start + length
    last = text.num_kv_layers - 1
    maker = text.layers[last]
    per_token = 2 * _kv_weights(text, maker) - 2 * text.hidden_size * text.hidden_size_per_layer_input * (
        text.num_hidden_layers - last
    )
    return _flops(text, start, end - 1, last) + (length - 1) * per_token + flops_per_generated_token(text, context=end)


def bytes_per_generated_token(
    config: ModelConfig | TextConfig,
    sizes: Mapping[str, int],
    context: int = 0,
    position_bytes: Callable[[LayerConfig], int] | None = None,
) -> float:
    """Bytes of weights, keys and values that one decoding step reads, of one sequence that then holds `context` tokens.

    `sizes` are the weights' bytes by released name, or by a name with the same parts in it, as the engine holds them.
    Of the table of per-layer inputs one row is read, of experts those that are chosen; the token embedding is read once
    and whole, as the head. Keys and values are read by every layer, also where layers share them; `position_bytes` says
    how many bytes one position of a layer's has, and else they are taken as 16 bits.
    """
    text = _text(config)
    shares = {"ple_table": 1 / max(text.vocab_size_per_layer_input, 1)}
    if text.enable_moe_block:
        assert text.num_experts and text.top_k_experts
        shares["experts"] = text.top_k_experts / text.num_experts
    parts = {name: _component(name.removeprefix(TEXT_PREFIX)) for name in sizes if name.startswith(TEXT_PREFIX)}
    weights = sum(sizes[name] * shares.get(part, 1) for name, part in parts.items())
    seen = (min(context, text.sliding_window) if layer.is_sliding else context for layer in text.layers)
    each = position_bytes or (lambda layer: 4 * layer.num_key_value_heads * layer.head_dim)
    return weights + sum(each(layer) * count for layer, count in zip(text.layers, seen, strict=True))


def flops_per_generated_token(config: ModelConfig | TextConfig, context: int) -> int:
    """FLOPs of one decoding step that ends with `context` positions, the new token's own included; all layers, head."""
    text = _text(config)
    return _flops(text, context - 1, context, text.num_hidden_layers) + 2 * text.hidden_size * text.vocab_size


def kv_bytes(config: ModelConfig | TextConfig, length: int, *, bytes_per_value: float = 2, growth: int = 1) -> int:
    """Bytes that a cache allocates for the keys and values of one sequence of `length` tokens.

    A layer that makes K/V stores 2 · kv_heads · head_dim values for each position it holds (K and V both, also where
    they come from one projection). It holds `length` positions, rounded up to a multiple of `growth`, the step by
    which storage grows; a sliding layer is a ring, and never holds more than its window. A layer that shares another's
    K/V holds nothing.
    """
    text = _text(config)
    positions = -(-length // growth) * growth
    values = 0
    for layer in text.layers:
        if layer.makes_kv:
            held = min(positions, text.sliding_window) if layer.is_sliding else positions
            values += held * kv_values_per_position(layer)
    return math.ceil(values * bytes_per_value)


def kv_values_per_position(layer: LayerConfig) -> int:
    """Numbers that one layer stores for one position: keys and values of every key/value head."""
    return 2 * layer.num_key_value_heads * layer.head_dim if layer.makes_kv else 0


def _text(config: ModelConfig | TextConfig) -> TextConfig:
    return config.text if isinstance(config, ModelConfig) else config


def _component(name: str) -> str:
    for component, marks in COMPONENTS.items():
        if any(mark in f".{name}" for mark in marks):
            return component
    raise AssertionError(f"{name} belongs to no component")


def _flops(text: TextConfig, start: int, end: int, depth: int) -> int:
    """FLOPs of the tokens at positions start … end-1 in the first `depth` layers, without the head."""
    per_token = 2 * text.hidden_size * text.num_hidden_layers * text.hidden_size_per_layer_input
    seen = 0
    for layer in text.layers[:depth]:
        per_token += 2 * _weights_used(text, layer)
        keys = _keys_seen(end, text.sliding_window, layer) - _keys_seen(start, text.sliding_window, layer)
        seen += 4 * text.num_attention_heads * layer.head_dim * keys
    return (end - start) * per_token + seen


def _keys_seen(num_tokens: int, window: int, layer: LayerConfig) -> int:
    """Pairs of a query and a key it may see, for the first `num_tokens` queries of a sequence."""
    rising = min(num_tokens, window) if layer.is_sliding else num_tokens
    return rising * (rising + 1) // 2 + (num_tokens - rising) * window


def _weights_used(text: TextConfig, layer: LayerConfig) -> int:
    """Entries of the matrices that one token is multiplied with in this layer."""
    D, N, H = text.hidden_size, text.num_attention_heads, layer.head_dim
    kv = _kv_weights(text, layer) if layer.makes_kv else 0
    mlp = 3 * D * layer.intermediate_size
    if text.enable_moe_block:
        assert text.num_experts and text.top_k_experts and text.moe_intermediate_size
        mlp += text.num_experts * D + text.top_k_experts * 3 * D * text.moe_intermediate_size
    return 2 * N * H * D + kv + mlp + 2 * D * text.hidden_size_per_layer_input


def _kv_weights(text: TextConfig, layer: LayerConfig) -> int:
    """Entries of the projections to keys and values: two of them, or one that serves as both."""
    return (1 if layer.k_eq_v else 2) * layer.num_key_value_heads * layer.head_dim * text.hidden_size
