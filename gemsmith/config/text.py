"""The text decoder as data: `config.json`'s fields, and the table of layers they resolve to.

Whatever differs between layers (sliding or full, own or shared K/V, narrow or wide MLP) is answered once, in
`TextConfig.layers`; the forward pass then has no questions left to ask. Standard library only.

Field names are those of the released `config.json` → `text_config`
(upstream: `transformers` models/gemma4/configuration_gemma4.py; Gemma 4 Technical Report, arXiv 2607.02770).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gemsmith.config.fields import check, fields_from_json, fields_to_json
from gemsmith.config.upstream import FULL, MAX_LAYERS, SLIDING, released_text_config
from gemsmith.errors import ConfigError

__all__ = ["DEFAULT_ROPE", "FULL", "SLIDING", "LayerConfig", "TextConfig"]

DEFAULT_ROPE: dict[str, dict[str, Any]] = {
    SLIDING: {"rope_type": "default", "rope_theta": 10_000.0},
    FULL: {"rope_type": "proportional", "rope_theta": 1_000_000.0, "partial_rotary_factor": 0.25},
}


@dataclass(frozen=True)
class LayerConfig:
    """Everything one decoder layer needs to know, with no question left open."""

    index: int
    is_sliding: bool
    head_dim: int
    num_key_value_heads: int
    kv_source: int  # the layer whose keys and values this one reads; its own index if it makes them
    intermediate_size: int
    k_eq_v: bool  # no v_proj: values are the raw key projection, normalised without a weight
    rope_theta: float
    num_rotated_pairs: int  # of head_dim // 2 pairs; the others carry no position (p-RoPE)

    @property
    def makes_kv(self) -> bool:
        """Whether this layer computes keys and values (and so owns a cache)."""
        return self.kv_source == self.index


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """A Gemma 4 text decoder. Counts are `num_*`; sizes are in elements; positions in tokens."""

    model_type: str = "gemma4_text"
    vocab_size: int = 262_144
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    num_global_key_value_heads: int | None = None
    head_dim: int = 256
    global_head_dim: int = 512
    attention_k_eq_v: bool = False
    layer_types: tuple[str, ...] = ()
    sliding_window: int = 512
    num_kv_shared_layers: int = 0
    use_double_wide_mlp: bool = False
    hidden_size_per_layer_input: int = 0
    vocab_size_per_layer_input: int = 262_144
    enable_moe_block: bool = False
    num_experts: int | None = None
    top_k_experts: int | None = None
    moe_intermediate_size: int | None = None
    rope_parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: DEFAULT_ROPE)
    max_position_embeddings: int = 131_072
    rms_norm_eps: float = 1e-6
    hidden_activation: str = "gelu_pytorch_tanh"
    final_logit_softcapping: float | None = 30.0
    use_bidirectional_attention: str | None = None
    tie_word_embeddings: bool = True
    attention_bias: bool = False
    attention_dropout: float = 0.0
    initializer_range: float = 0.02
    pad_token_id: int = 0
    eos_token_id: int | tuple[int, ...] = 1
    bos_token_id: int = 2
    dtype: str = "bfloat16"
    extra: Mapping[str, Any] = field(default_factory=dict)  # keys this version does not know, kept as they came

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TextConfig:
        """Read `text_config` of a released file, or of one written by recent `transformers`.

        Raises ConfigError naming the key when a value is missing, of the wrong type or impossible.
        """
        return cls(**fields_from_json(cls, released_text_config(data), "text_config"))

    def to_json(self) -> dict[str, Any]:
        """The released form: every field, then the unknown keys."""
        return fields_to_json(self)

    def __post_init__(self) -> None:
        self._check_sizes()
        self._check_heads()
        self._check_switches()
        self._check_layers()

    def _check_sizes(self) -> None:
        for name, upper in _UPPER_BOUNDS.items():
            check(f"text_config.{name}", getattr(self, name), int, 1, upper)
        check("hidden_size_per_layer_input", self.hidden_size_per_layer_input, int, 0, 1 << 14)
        if self.hidden_size_per_layer_input:
            check("vocab_size_per_layer_input", self.vocab_size_per_layer_input, int, 1, _UPPER_BOUNDS["vocab_size"])
        for name in ("bos_token_id", "pad_token_id"):
            check(name, getattr(self, name), int, 0, self.vocab_size - 1)
        check("num_kv_shared_layers", self.num_kv_shared_layers, int, 0, self.num_hidden_layers - 1)
        check("rms_norm_eps", self.rms_norm_eps, float, 0, 1)
        if self.final_logit_softcapping is not None:
            check("final_logit_softcapping", self.final_logit_softcapping, float, 1e-3, 1e6)
        if self.enable_moe_block:
            experts = check("num_experts", self.num_experts, int, 1, 1 << 14)
            check("top_k_experts", self.top_k_experts, int, 1, experts)
            check("moe_intermediate_size", self.moe_intermediate_size, int, 1, 1 << 20)

    def _check_heads(self) -> None:
        if self.num_global_key_value_heads is not None:
            check("num_global_key_value_heads", self.num_global_key_value_heads, int, 1, 4096)
        for name in ("head_dim", "global_head_dim"):
            if getattr(self, name) % 2:
                raise ConfigError(f"{name} must be even (RoPE turns pairs), found {getattr(self, name)}")
        for heads in {self.num_key_value_heads, self.num_global_key_value_heads or self.num_key_value_heads}:
            if self.num_attention_heads % heads:
                raise ConfigError(
                    f"num_attention_heads {self.num_attention_heads} is not a multiple of {heads} key/value heads"
                )

    def _check_switches(self) -> None:
        for name, known in _KNOWN_VALUES.items():
            if getattr(self, name) not in known:
                wanted = " or ".join(map(repr, known))
                raise ConfigError(f"text_config.{name} is {str(getattr(self, name))[:60]!r}; Gemma 4 has {wanted}")

    def _check_layers(self) -> None:
        if len(self.layer_types) != self.num_hidden_layers:
            raise ConfigError(
                f"layer_types lists {len(self.layer_types)} layers but num_hidden_layers is {self.num_hidden_layers}"
            )
        if unknown := set(self.layer_types) - {SLIDING, FULL}:
            raise ConfigError(f"layer_types holds {str(min(unknown))[:60]!r}; known are {SLIDING!r} and {FULL!r}")
        for layer_type in sorted(set(self.layer_types)):
            self._check_rope(layer_type)
        for index in range(self.num_kv_layers, self.num_hidden_layers):
            self._last_maker_like(index)  # raises where a shared layer has none

    def _check_rope(self, layer_type: str) -> None:
        rope = self.rope_parameters.get(layer_type)
        if not isinstance(rope, Mapping):
            raise ConfigError(f"rope_parameters has nothing for {layer_type!r}; each type of layer needs its own")
        check(f"rope_parameters.{layer_type}.rope_theta", rope.get("rope_theta"), (int, float), 1e-3, 1e12)
        check("partial_rotary_factor", rope.get("partial_rotary_factor", 1.0), (int, float), 0, 1)
        check("factor (a scaled RoPE)", rope.get("factor", 1.0), (int, float), 1, 1)
        if rope.get("rope_type", "default") not in ("default", "proportional"):
            raise ConfigError(
                f"rope_type {str(rope['rope_type'])[:60]!r} is not one Gemma 4 uses (default, proportional)"
            )

    @cached_property
    def layers(self) -> tuple[LayerConfig, ...]:
        """Sliding or full, own or shared cache, narrow or wide MLP: resolved here and nowhere else."""
        return tuple(self._layer(i) for i in range(self.num_hidden_layers))

    @property
    def num_kv_layers(self) -> int:
        """Layers 0 … num_kv_layers-1 make keys and values; the rest read the last of their own type."""
        return self.num_hidden_layers - self.num_kv_shared_layers

    @property
    def num_readable_ids(self) -> int:
        """Ids below this have a row in both tables: a padded vocabulary may have more of one than of the other."""
        if not self.hidden_size_per_layer_input:
            return self.vocab_size
        return min(self.vocab_size, self.vocab_size_per_layer_input)

    def _layer(self, i: int) -> LayerConfig:
        is_sliding = self.layer_types[i] == SLIDING
        head_dim = self.head_dim if is_sliding else self.global_head_dim
        k_eq_v = self.attention_k_eq_v and not is_sliding
        # The released k_eq_v models alone give full layers their own number of heads.
        own_heads = self.num_global_key_value_heads if k_eq_v else None
        shared = i >= self.num_kv_layers
        rope = self.rope_parameters[self.layer_types[i]]
        fraction = float(rope.get("partial_rotary_factor", 1.0)) if rope.get("rope_type") == "proportional" else 1.0
        return LayerConfig(
            index=i,
            is_sliding=is_sliding,
            head_dim=head_dim,
            num_key_value_heads=own_heads or self.num_key_value_heads,
            kv_source=self._last_maker_like(i) if shared else i,
            intermediate_size=self.intermediate_size * (2 if shared and self.use_double_wide_mlp else 1),
            k_eq_v=k_eq_v,
            rope_theta=float(rope["rope_theta"]),
            num_rotated_pairs=int(fraction * head_dim // 2),
        )

    def _last_maker_like(self, i: int) -> int:
        for j in reversed(range(self.num_kv_layers)):
            if self.layer_types[j] == self.layer_types[i]:
                return j
        raise ConfigError(
            f"layer {i} shares the K/V of an earlier {self.layer_types[i]} layer, but none of the first"
            f" {self.num_kv_layers} layers is one; lower num_kv_shared_layers or change layer_types"
        )


_UPPER_BOUNDS = {  # far above every released size: they keep a hostile file from asking for the impossible
    "vocab_size": 1 << 24,
    "hidden_size": 1 << 17,
    "intermediate_size": 1 << 20,
    "num_hidden_layers": MAX_LAYERS,
    "num_attention_heads": 4096,
    "num_key_value_heads": 4096,
    "head_dim": 1 << 13,
    "global_head_dim": 1 << 13,
    "sliding_window": 1 << 24,
    "max_position_embeddings": 1 << 26,
}

_KNOWN_VALUES: dict[str, tuple[Any, ...]] = {
    "model_type": ("gemma4_text", "gemma4_unified_text"),
    "hidden_activation": ("gelu_pytorch_tanh",),
    "attention_bias": (False,),
    "use_bidirectional_attention": (None, "vision"),
}
