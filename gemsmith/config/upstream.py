"""What files say differently: `text_config` as any version of `transformers` writes it, turned into the released form.

Upstream: `transformers` models/gemma4/configuration_gemma4.py, `__post_init__` of the text configs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gemsmith.config.fields import check, plain, with_dtype
from gemsmith.errors import ConfigError

SLIDING, FULL = "sliding_attention", "full_attention"
MAX_LAYERS = 1024


def released_text_config(data: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with the released keys; what is absent means what it means upstream, not our dataclass's default."""
    out = with_dtype(data)
    for name, default in _defaults(out.get("model_type")).items():
        out.setdefault(name, default)
    if not out.get("layer_types"):
        out["layer_types"] = _every_sixth_full(out.get("num_hidden_layers"))
    for name in ("hidden_size_per_layer_input", "vocab_size_per_layer_input", "num_kv_shared_layers"):
        if out.get(name) is None:
            out[name] = 0
    if (per_layer := out.pop("per_layer_config", None)) is not None:
        out |= _named_once(per_layer, out)
    if not isinstance(out["layer_types"], (list, tuple)) or out["layer_types"][-1] != FULL:
        raise ConfigError(f"text_config.layer_types must be a list that ends with {FULL!r}, as in every Gemma 4 model")
    return out


def _named_once(per_layer: Any, text: Mapping[str, Any]) -> dict[str, Any]:
    """Recent `transformers` repeats what full layers have of their own in every one of them; released files do not."""
    override = _common_override(per_layer, text["layer_types"])
    if unknown := set(override) - {"head_dim", "num_key_value_heads"}:
        raise ConfigError(f"per_layer_config overrides {sorted(map(str, unknown))[:8]}, which no Gemma 4 model does")
    heads = override.get("num_key_value_heads")
    if not text.get("attention_k_eq_v") and heads not in (None, text.get("num_key_value_heads")):
        raise ConfigError(
            "per_layer_config gives full layers key/value heads of their own, but attention_k_eq_v is false"
        )
    return {
        "global_head_dim": override.get("head_dim", text.get("head_dim", 256)),
        "num_global_key_value_heads": heads,
    }


def _common_override(per_layer: Any, layer_types: Any) -> dict[str, Any]:
    """What every full layer has of its own; ConfigError if they differ, or if a sliding layer has something."""
    if not isinstance(per_layer, Mapping) or not isinstance(layer_types, (list, tuple)):
        raise ConfigError("per_layer_config must be an object of layer numbers, and layer_types a list")
    by_layer = {int(index): value for index, value in per_layer.items() if str(index)[:5].isdecimal()}  # "04", "09", …
    if len(by_layer) < len(per_layer) or not by_layer.keys() <= set(range(len(layer_types))):
        raise ConfigError(f"per_layer_config must name layers 0 to {len(layer_types) - 1}, each once")
    for index, override in by_layer.items():
        if not isinstance(override, Mapping) or (override and layer_types[index] != FULL):
            raise ConfigError(f"per_layer_config[{index}] must be an object, and empty unless the layer is {FULL}")
    overrides = [plain(by_layer.get(index, {})) for index, kind in enumerate(layer_types) if kind == FULL]
    if any(override != overrides[0] for override in overrides):
        raise ConfigError("per_layer_config differs between full-attention layers; no Gemma 4 model does that")
    return dict(overrides[0]) if overrides else {}


def _defaults(model_type: Any) -> dict[str, Any]:
    common = {"final_logit_softcapping": None, "global_head_dim": 512}
    if model_type == "gemma4_unified_text":
        own = {"sliding_window": 1024, "max_position_embeddings": 262_144, "use_bidirectional_attention": "vision"}
        return {**common, **own, "vocab_size_per_layer_input": 0}
    return {**common, "hidden_size_per_layer_input": 256, "vocab_size_per_layer_input": 262_144}


def _every_sixth_full(num_layers: Any) -> list[str]:
    n = check("text_config.num_hidden_layers", num_layers, int, 1, MAX_LAYERS)
    return [FULL if (i + 1) % 6 == 0 or i + 1 == n else SLIDING for i in range(n)]
