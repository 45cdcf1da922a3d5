"""The keys of a Gemma 4 GGUF, and the shapes that no key tells, as a ModelConfig of its text model.

What other readers take for granted is checked here, since a file that differs would answer wrongly without a word:
attention scale, RoPE scaling, which pairs turn, and that widths and heads differ between layers only as Gemma's do.
Sources: llama.cpp, conversion/gemma.py (Gemma4Model) and src/models/gemma4.cpp.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gemsmith.config.fields import shown
from gemsmith.config.model import ModelConfig
from gemsmith.config.text import FULL, SLIDING
from gemsmith.config.upstream import MAX_LAYERS
from gemsmith.errors import ConfigError, ModelFileError
from gemsmith.formats.gguf.metadata import Keys
from gemsmith.formats.gguf.names import ROPE_FREQS
from gemsmith.formats.tensor import TensorView

ARCHITECTURE = "gemma4"
UNTURNED = 1e20  # a frequency divided by this, or more, turns nothing; the converter writes 1e30
DTYPES = {"F32": "float32", "F16": "float16"}  # of the embedding; any other file computes in bfloat16
RELATIVES = {
    "clip": "the senses of a model (an mmproj file); give the file with its text model",
    "gemma4-assistant": "a drafter, which only predicts for another model",
}


def model_config(metadata: Mapping[str, Any], tensors: Mapping[str, TensorView], source: str) -> ModelConfig:
    """The config of the text model in this file; ConfigError (a ModelFileError) for what is no Gemma 4."""
    _check_kind(metadata, source)
    keys = Keys(metadata, source, f"{ARCHITECTURE}.")
    try:
        return ModelConfig.from_json(_text_config(keys, Keys(metadata, source, "tokenizer.ggml."), tensors))
    except ConfigError as error:
        raise error if source in str(error) else ConfigError(f"{source}: {error}") from error


def _check_kind(metadata: Mapping[str, Any], source: str) -> None:
    general = Keys(metadata, source, "general.")
    found = general.text("architecture")
    if found != ARCHITECTURE:
        what = RELATIVES.get(found, f"a model of the architecture {shown(found)}; gemsmith runs {ARCHITECTURE!r}")
        raise ModelFileError(f"{source} is {what}")
    if (kind := general.text("type", "model")) != "model":
        raise ModelFileError(f"{source} holds no model but {shown(kind)}; give the file of the model itself")
    if (parts := Keys(metadata, source).whole("split.count", 1)) > 1:
        raise ModelFileError(
            f"{source} is one of {parts} parts of a model; join them first: llama-gguf-split --merge FIRST OUT.gguf"
        )


def _text_config(keys: Keys, tokenizer: Keys, tensors: Mapping[str, TensorView]) -> dict[str, Any]:
    L = keys.whole("block_count")
    if not 1 <= L <= MAX_LAYERS:
        keys.fail(f"has {L} layers, where gemsmith takes 1 to {MAX_LAYERS}")
    sliding = keys.flags("attention.sliding_window_pattern", L)
    shared = keys.whole("attention.shared_kv_layers", 0)
    P = keys.whole("embedding_length_per_layer_input", 0)
    unified = "suppress_tokens" in tokenizer  # the converter writes this key for 12B alone
    embedding = _tensor(tensors, "token_embd.weight", keys)
    return {
        "model_type": "gemma4_unified_text" if unified else "gemma4_text",
        "vocab_size": embedding.shape[0],
        "vocab_size_per_layer_input": _per_layer_rows(tensors, keys, P, 0 if unified else embedding.shape[0]),
        "hidden_size": keys.whole("embedding_length"),
        "num_hidden_layers": L,
        "num_kv_shared_layers": shared,
        "layer_types": [SLIDING if flag else FULL for flag in sliding],
        "sliding_window": keys.whole("attention.sliding_window"),
        "hidden_size_per_layer_input": P,
        "max_position_embeddings": keys.whole("context_length"),
        "rms_norm_eps": keys.real("attention.layer_norm_rms_epsilon"),
        "final_logit_softcapping": keys.real("final_logit_softcapping") if "final_logit_softcapping" in keys else None,
        "use_bidirectional_attention": None if P else "vision",  # of pictures, for whoever adds the senses
        "dtype": DTYPES.get(embedding.dtype, "bfloat16"),
        **{f"{name}_token_id": tokenizer.whole(f"{key}_token_id", default) for name, key, default in _TOKENS},
        **_heads(keys, sliding, tensors),
        **_widths(keys, L, shared),
        **_experts(keys),
        "rope_parameters": _rope(keys, tensors, all(sliding)),
    }


_TOKENS = (("bos", "bos", 2), ("eos", "eos", 1), ("pad", "padding", 0))


def _heads(keys: Keys, sliding: list[bool], tensors: Mapping[str, TensorView]) -> dict[str, Any]:
    """Numbers of heads and their sizes. A layer without `attn_v` takes its values from the keys' projection."""
    heads = _one(keys, "attention.head_count", keys.per_layer("attention.head_count", len(sliding)))
    kv = keys.per_layer("attention.head_count_kv", len(sliding))
    of_sliding = _one(keys, "attention.head_count_kv", [n for n, flag in zip(kv, sliding, strict=True) if flag] or kv)
    of_full = _one(keys, "attention.head_count_kv", [n for n, flag in zip(kv, sliding, strict=True) if not flag] or kv)
    first_full = next((i for i, flag in enumerate(sliding) if not flag), None)
    k_eq_v = first_full is not None and f"blk.{first_full}.attn_v.weight" not in tensors
    if not k_eq_v and of_full != of_sliding:
        keys.fail("gives full layers key/value heads of their own, and a projection for values: no Gemma 4 has both")
    for of_keys in ("attention.key_length", "attention.key_length_swa"):
        if keys.whole(of_keys) != keys.whole(of_keys.replace("key", "value")):
            keys.fail(f"has keys and values of different sizes ({keys.prefix}{of_keys}); Gemma 4's are equal")
    if keys.real("attention.scale", 1.0) != 1.0:
        keys.fail(f"scales attention by {keys.real('attention.scale')}; Gemma 4 does not scale it")
    return {
        "num_attention_heads": heads,
        "num_key_value_heads": of_sliding,
        "num_global_key_value_heads": of_full if k_eq_v else None,
        "attention_k_eq_v": k_eq_v,
        "head_dim": keys.whole("attention.key_length_swa"),
        "global_head_dim": keys.whole("attention.key_length"),
    }


def _widths(keys: Keys, num_layers: int, shared: int) -> dict[str, Any]:
    """MLP widths: one for all layers, or twice as much in those that share keys and values."""
    widths = keys.per_layer("feed_forward_length", num_layers)
    double = widths[-1] == 2 * widths[0] and 0 < shared < num_layers
    expected = [widths[0] * (2 if double and i >= num_layers - shared else 1) for i in range(num_layers)]
    if widths != expected:
        keys.fail(f"has {keys.prefix}feed_forward_length {shown(widths)}: no pattern that Gemma 4 has")
    return {"intermediate_size": widths[0], "use_double_wide_mlp": double}


def _experts(keys: Keys) -> dict[str, Any]:
    if keys.whole("expert_count", 0) == 0:
        return {}
    return {
        "enable_moe_block": True,
        "num_experts": keys.whole("expert_count"),
        "top_k_experts": keys.whole("expert_used_count"),
        "moe_intermediate_size": keys.whole("expert_feed_forward_length"),
    }


def _rope(keys: Keys, tensors: Mapping[str, TensorView], no_full_layers: bool) -> dict[str, Any]:
    for suffix in ("", "_swa"):
        turned, size = f"rope.dimension_count{suffix}", keys.whole(f"attention.key_length{suffix}")
        if keys.whole(turned, size) != size:
            keys.fail(f"turns {keys.whole(turned)} of {size} numbers of a head ({keys.prefix}{turned}); Gemma 4: all")
    if keys.text("rope.scaling.type", "none") != "none" or keys.real("rope.scaling.factor", 1.0) != 1.0:
        keys.fail("scales positions (rope.scaling); gemsmith runs Gemma 4 as released, without")
    full: dict[str, Any] = {"rope_type": "proportional", "rope_theta": keys.real("rope.freq_base")}
    full["partial_rotary_factor"] = 0.25 if no_full_layers else _turned_fraction(keys, tensors)
    return {SLIDING: {"rope_type": "default", "rope_theta": keys.real("rope.freq_base_swa", 1e4)}, FULL: full}


def _turned_fraction(keys: Keys, tensors: Mapping[str, TensorView]) -> float:
    """Which part of a full layer's pairs carries positions: `rope_freqs` divides the others' frequencies away."""
    freqs, pairs = _tensor(tensors, ROPE_FREQS, keys), keys.whole("attention.key_length") // 2
    if freqs.dtype != "F32" or freqs.shape != (pairs,):
        keys.fail(f"has {ROPE_FREQS} as {freqs.dtype} {list(freqs.shape)}, where F32 [{pairs}] stands")
    divisors = memoryview(bytes(freqs.buffer)).cast("f").tolist()
    turned = sum(divisor == 1.0 for divisor in divisors)
    if divisors[:turned] != [1.0] * turned or not all(divisor >= UNTURNED for divisor in divisors[turned:]):
        keys.fail(f"has a {ROPE_FREQS} that does more than keep pairs from turning; Gemma 4's does not")
    fraction = turned / pairs
    if int(fraction * 2 * pairs // 2) != turned:
        keys.fail(f"turns {turned} of {pairs} pairs ({ROPE_FREQS}), a part that a config cannot name")
    return fraction


def _per_layer_rows(tensors: Mapping[str, TensorView], keys: Keys, P: int, otherwise: int) -> int:
    return _tensor(tensors, "per_layer_token_embd.weight", keys).shape[0] if P else otherwise


def _tensor(tensors: Mapping[str, TensorView], name: str, keys: Keys) -> TensorView:
    if name not in tensors:
        keys.fail(f"has no tensor {name}" + ("; it holds a vocabulary and no weights" if not tensors else ""))
    return tensors[name]


def _one(keys: Keys, key: str, values: list[int]) -> int:
    if len(set(values)) > 1:
        keys.fail(f"gives layers of one kind different values of {keys.prefix}{key}: {shown(values)}")
    return values[0]
