"""The senses as data: the vision and audio towers of E2B to 31B, and the towerless embedders of 12B.

Field names are those of the released `config.json` → `vision_config`, `audio_config`
(upstream: `transformers` models/gemma4 and models/gemma4_unified, configuration files). Preprocessing is not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from gemsmith.config.fields import check, fields_from_json, fields_to_json, shown
from gemsmith.errors import ConfigError

NUM_MEL_BINS = 128  # of the log-mel front end; no key of config.json says it
MEL_HOP = 160  # samples from one log-mel frame to the next, which are twice as long: 10 ms at 16 kHz
SUBSAMPLING = 4  # log-mel frames to a soft token: two convolutions that each take every second place


@dataclass(frozen=True, kw_only=True)
class _Section:
    """One object of config.json that is read and written key by key."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read the section; raises ConfigError naming the key that is of the wrong type or impossible."""
        return cls(**fields_from_json(cls, data, cls._name()))

    def to_json(self) -> dict[str, Any]:
        """Every field, then the unknown keys."""
        return fields_to_json(self)

    @classmethod
    def _name(cls) -> str:
        return "vision_config" if "Vision" in cls.__name__ else "audio_config"

    def _check(self, **upper_bounds: int) -> None:
        for name, upper in upper_bounds.items():
            check(f"{self._name()}.{name}", getattr(self, name), int, 1, upper)
        check(f"{self._name()}.rms_norm_eps", self.rms_norm_eps, float, 0, 1)  # type: ignore[attr-defined]


@dataclass(frozen=True, kw_only=True)
class VisionConfig(_Section):
    """A vision tower: patches in, one soft token per `pooling_kernel_size`² of them out. Lengths are in pixels."""

    model_type: str = "gemma4_vision"
    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 16
    num_attention_heads: int = 12
    num_key_value_heads: int = 12
    head_dim: int = 64
    patch_size: int = 16
    pooling_kernel_size: int = 3
    position_embedding_size: int = 10_240  # patches along one side of a picture, at most
    default_output_length: int = 280  # soft tokens per picture
    use_clipped_linears: bool = False
    standardize: bool = False
    rope_parameters: Mapping[str, Any] = field(default_factory=lambda: {"rope_theta": 100.0, "rope_type": "default"})
    max_position_embeddings: int = 131_072
    rms_norm_eps: float = 1e-6
    hidden_activation: str = "gelu_pytorch_tanh"
    attention_bias: bool = False
    attention_dropout: float = 0.0
    initializer_range: float = 0.02
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rope_theta(self) -> float:
        """Base of the rotation, for columns and rows alike."""
        return float(self.rope_parameters["rope_theta"])

    def __post_init__(self) -> None:
        self._check(hidden_size=1 << 16, intermediate_size=1 << 18, num_hidden_layers=1024, head_dim=1 << 12)
        self._check(num_attention_heads=4096, patch_size=1024, pooling_kernel_size=64, position_embedding_size=1 << 20)
        self._check(default_output_length=1 << 16)
        check("vision_config.rope_theta", self.rope_parameters.get("rope_theta"), (int, float), 1e-3, 1e12)
        if self.head_dim % 4:
            raise ConfigError(
                f"vision_config.head_dim must be a multiple of 4 (RoPE in two axes), found {self.head_dim}"
            )
        if self.num_key_value_heads != self.num_attention_heads:
            raise ConfigError(
                f"vision_config.num_key_value_heads is {self.num_key_value_heads} but num_attention_heads is"
                f" {self.num_attention_heads}; Gemma 4's vision tower has as many of both"
            )
        _check_activation("vision_config.hidden_activation", self.hidden_activation, "gelu_pytorch_tanh")


@dataclass(frozen=True, kw_only=True)
class AudioConfig(_Section):
    """An audio tower of conformer layers: log-mel frames of 10 ms in, soft tokens of 40 ms out."""

    model_type: str = "gemma4_audio"
    hidden_size: int = 1024
    num_hidden_layers: int = 12
    num_attention_heads: int = 8
    hidden_act: str = "silu"
    subsampling_conv_channels: tuple[int, ...] = (128, 32)
    conv_kernel_size: int = 5
    residual_weight: float = 0.5
    attention_chunk_size: int = 12
    attention_context_left: int = 13  # see `reach`
    attention_context_right: int = 0
    attention_logit_cap: float = 50.0
    attention_invalid_logits_value: float = -1e9
    use_clipped_linears: bool = True
    rms_norm_eps: float = 1e-6
    gradient_clipping: float = 1e10
    output_proj_dims: int = 1536
    initializer_range: float = 0.02
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def head_dim(self) -> int:
        """Size of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def reach(self) -> tuple[int, int]:
        """How many tokens back and ahead of itself a token attends to: 11 and 0.

        Upstream wants distances strictly less than `attention_context_left` - 1, and `attention_context_right`.
        """
        return self.attention_context_left - 2, max(self.attention_context_right - 1, 0)

    def num_soft_tokens(self, num_samples: int) -> int:
        """How many soft tokens so many samples at 16 kHz become: 40 ms each, and none of 10 ms or less."""
        frames = max(0, num_samples - 1) // MEL_HOP  # those that lie, with one sample to spare, within the sound
        return -(-frames // SUBSAMPLING)

    def __post_init__(self) -> None:
        self._check(hidden_size=1 << 16, num_hidden_layers=1024, num_attention_heads=1024, conv_kernel_size=1024)
        self._check(attention_chunk_size=1 << 16, output_proj_dims=1 << 16)
        if self.hidden_size % (2 * self.num_attention_heads):
            raise ConfigError(
                f"audio_config.hidden_size {self.hidden_size} does not divide into {self.num_attention_heads} heads of"
                " even size"
            )
        if len(self.subsampling_conv_channels) != 2:
            raise ConfigError(
                f"audio_config.subsampling_conv_channels must be two sizes, found {self.subsampling_conv_channels}"
            )
        for channels in self.subsampling_conv_channels:
            check("audio_config.subsampling_conv_channels", channels, int, 1, 1 << 14)
        check("audio_config.attention_context_left", self.attention_context_left, int, 2, 1 << 16)  # with itself
        check("audio_config.attention_context_right", self.attention_context_right, int, 0, 1 << 16)
        check("audio_config.attention_logit_cap", self.attention_logit_cap, float, 1e-3, 1e6)
        if not self.attention_invalid_logits_value <= -self.attention_logit_cap - 104:  # e^-104 is 0 in float32
            raise ConfigError(
                f"audio_config.attention_invalid_logits_value is {self.attention_invalid_logits_value}; a masked token"
                f" would still be heard, as logits are capped at ±{self.attention_logit_cap}"
            )
        check("audio_config.residual_weight", self.residual_weight, float, 0, 1e3)
        _check_activation("audio_config.hidden_act", self.hidden_act, "silu")


@dataclass(frozen=True, kw_only=True)
class UnifiedVisionConfig(_Section):
    """12B has no vision tower: squares of 48×48 pixels become soft tokens by one dense layer."""

    model_type: str = "gemma4_unified_vision"
    patch_size: int = 16
    pooling_kernel_size: int = 3
    mm_embed_dim: int = 3840
    mm_posemb_size: int = 1120  # squares along one side of a picture, at most
    output_proj_dims: int = 3840
    num_soft_tokens: int = 280
    rms_norm_eps: float = 1e-6
    initializer_range: float = 0.02
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def model_patch_size(self) -> int:
        """Side of the square that one soft token stands for, in pixels."""
        return self.patch_size * self.pooling_kernel_size

    def __post_init__(self) -> None:
        self._check(patch_size=1024, pooling_kernel_size=64, mm_embed_dim=1 << 16, mm_posemb_size=1 << 20)
        self._check(output_proj_dims=1 << 16, num_soft_tokens=1 << 16)
        if self.output_proj_dims != self.mm_embed_dim:
            raise ConfigError(
                f"vision_config.output_proj_dims is {self.output_proj_dims} but mm_embed_dim is {self.mm_embed_dim};"
                " the projection reads what the embedder writes"
            )
        if (side := self.extra.get("model_patch_size", self.model_patch_size)) != self.model_patch_size:
            raise ConfigError(f"vision_config.model_patch_size is {side!r}, not patch_size × pooling_kernel_size")


@dataclass(frozen=True, kw_only=True)
class UnifiedAudioConfig(_Section):
    """12B has no audio tower: every 640 samples (40 ms at 16 kHz) become a soft token by one matrix."""

    model_type: str = "gemma4_unified_audio"
    audio_embed_dim: int = 640
    rms_norm_eps: float = 1e-6
    initializer_range: float = 0.02
    extra: Mapping[str, Any] = field(default_factory=dict)

    def num_soft_tokens(self, num_samples: int) -> int:
        """How many soft tokens so many samples become: one for every 640, and one for what is left over."""
        return -(-num_samples // self.audio_embed_dim)

    def __post_init__(self) -> None:
        self._check(audio_embed_dim=1 << 20)
        for twin in ("audio_samples_per_token", "hidden_size", "output_proj_dims"):
            if self.extra.get(twin, self.audio_embed_dim) != self.audio_embed_dim:
                raise ConfigError(
                    f"audio_config.{twin} is {shown(self.extra[twin])} but audio_embed_dim is {self.audio_embed_dim}"
                )


def _check_activation(name: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise ConfigError(f"{name} is {shown(found)}; Gemma 4 uses {wanted!r}")
