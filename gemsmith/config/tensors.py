"""The one table of tensor names and shapes: what a checkpoint of a given config holds.

Names are those of the released safetensors files; sizes by the family's letters:

    D hidden   N query heads   K key/value heads   H head dim   F mlp width   E experts   P per-layer width
    V vocabulary   L layers

Upstream: `transformers` models/gemma4/modeling_gemma4.py; the published index of google/gemma-4-E2B lists 2011 tensors.
`transformers` nests 12B's embedder under `embed_vision` in memory; the released file, and this table, do not.
"""

from __future__ import annotations

from collections.abc import Iterator

from gemsmith.config.media import NUM_MEL_BINS, AudioConfig, UnifiedAudioConfig, UnifiedVisionConfig, VisionConfig
from gemsmith.config.model import ModelConfig
from gemsmith.config.text import LayerConfig, TextConfig

Shape = tuple[int, ...]
Tensors = dict[str, Shape]

TEXT_PREFIX = "model.language_model."
EMBEDDING = f"{TEXT_PREFIX}embed_tokens.weight"  # and, the other way round, the head
CLIPS = ("input_min", "input_max", "output_min", "output_max")  # 0-dimensional, beside each clipped linear


def all_tensors(config: ModelConfig, *, include_dead: bool = False) -> Tensors:
    """Every tensor of a released file; `include_dead` adds those that are shipped and never read."""
    dead = dead_tensors(config.text) if include_dead else {}
    return {**text_tensors(config.text), **dead, **media_tensors(config)}


def text_tensors(text: TextConfig) -> Tensors:
    """The text decoder's tensors, in the order of the forward pass."""
    D, L, P = text.hidden_size, text.num_hidden_layers, text.hidden_size_per_layer_input
    out: Tensors = {"embed_tokens.weight": (text.vocab_size, D)}
    if P:
        out["embed_tokens_per_layer.weight"] = (text.vocab_size_per_layer_input, L * P)
        out["per_layer_model_projection.weight"] = (L * P, D)
        out["per_layer_projection_norm.weight"] = (P,)
    for layer in text.layers:
        out |= _under(f"layers.{layer.index}.", _text_layer(text, layer))
    out["norm.weight"] = (D,)
    return _under(TEXT_PREFIX, out)


def dead_tensors(text: TextConfig) -> Tensors:
    """K/V projections of layers that read another layer's: released E2B and E4B files carry them, nothing uses them."""
    out: Tensors = {}
    for layer in text.layers:
        if not layer.makes_kv:
            out |= _under(f"{TEXT_PREFIX}layers.{layer.index}.self_attn.", _kv(text, layer))
    return out


def media_tensors(config: ModelConfig) -> Tensors:
    """Tensors of the senses: towers and the projections into the text decoder's width."""
    return {**_vision(config), **_audio(config)}


def _text_layer(text: TextConfig, layer: LayerConfig) -> Tensors:
    D, N, H, F = text.hidden_size, text.num_attention_heads, layer.head_dim, layer.intermediate_size
    out: Tensors = {
        "input_layernorm.weight": (D,),
        "self_attn.q_proj.weight": (N * H, D),
        "self_attn.q_norm.weight": (H,),
    }
    if layer.makes_kv:
        out |= _under("self_attn.", _kv(text, layer))
    out |= {
        "self_attn.o_proj.weight": (D, N * H),
        "post_attention_layernorm.weight": (D,),
        "pre_feedforward_layernorm.weight": (D,),
        **_gated_mlp(D, F),
        **(_moe(text) if text.enable_moe_block else {}),
        "post_feedforward_layernorm.weight": (D,),
        **(_per_layer_input(text) if text.hidden_size_per_layer_input else {}),
        "layer_scalar": (1,),
    }
    return out


def _kv(text: TextConfig, layer: LayerConfig) -> Tensors:
    rows = layer.num_key_value_heads * layer.head_dim
    out: Tensors = {"k_proj.weight": (rows, text.hidden_size), "k_norm.weight": (layer.head_dim,)}
    if not layer.k_eq_v:
        out["v_proj.weight"] = (rows, text.hidden_size)
    return out


def _gated_mlp(D: int, F: int, infix: str = "") -> Tensors:
    return {
        f"mlp.gate_proj{infix}.weight": (F, D),
        f"mlp.up_proj{infix}.weight": (F, D),
        f"mlp.down_proj{infix}.weight": (D, F),
    }


def _moe(text: TextConfig) -> Tensors:
    assert text.num_experts is not None and text.moe_intermediate_size is not None
    D, E, F = text.hidden_size, text.num_experts, text.moe_intermediate_size
    return {
        "post_feedforward_layernorm_1.weight": (D,),
        "router.scale": (D,),
        "router.proj.weight": (E, D),
        "router.per_expert_scale": (E,),
        "pre_feedforward_layernorm_2.weight": (D,),
        "experts.gate_up_proj": (E, 2 * F, D),
        "experts.down_proj": (E, D, F),
        "post_feedforward_layernorm_2.weight": (D,),
    }


def _per_layer_input(text: TextConfig) -> Tensors:
    D, P = text.hidden_size, text.hidden_size_per_layer_input
    return {
        "per_layer_input_gate.weight": (P, D),
        "per_layer_projection.weight": (D, P),
        "post_per_layer_input_norm.weight": (D,),
    }


def _vision(config: ModelConfig) -> Tensors:
    vision, D = config.vision, config.text.hidden_size
    if isinstance(vision, UnifiedVisionConfig):
        embedder = _under("model.vision_embedder.", _unified_embedder(vision))
        return {**embedder, "model.embed_vision.embedding_projection.weight": (D, vision.output_proj_dims)}
    if isinstance(vision, VisionConfig):
        tower = _under("model.vision_tower.", dict(_vision_tower(vision)))
        return {**tower, "model.embed_vision.embedding_projection.weight": (D, vision.hidden_size)}
    return {}


def _unified_embedder(vision: UnifiedVisionConfig) -> Tensors:
    pixels, D = 3 * vision.model_patch_size**2, vision.mm_embed_dim
    return {
        **_layer_norm("patch_ln1", pixels),
        "patch_dense.weight": (D, pixels),
        "patch_dense.bias": (D,),
        **_layer_norm("patch_ln2", D),
        "pos_embedding": (vision.mm_posemb_size, 2, D),
        **_layer_norm("pos_norm", D),
    }


def _vision_tower(vision: VisionConfig) -> Iterator[tuple[str, Shape]]:
    D, rows = vision.hidden_size, vision.num_attention_heads * vision.head_dim
    yield "patch_embedder.input_proj.weight", (D, 3 * vision.patch_size**2)
    yield "patch_embedder.position_embedding_table", (2, vision.position_embedding_size, D)
    linears: Tensors = {f"self_attn.{x}_proj.linear.weight": (rows, D) for x in "qkv"}
    linears["self_attn.o_proj.linear.weight"] = (D, rows)
    linears |= _gated_mlp(D, vision.intermediate_size, ".linear")
    norms: Tensors = {f"self_attn.{x}_norm.weight": (vision.head_dim,) for x in "qk"}
    for where in ("input", "post_attention", "pre_feedforward", "post_feedforward"):
        norms[f"{where}_layernorm.weight"] = (D,)
    layer = {**_clipped(linears, vision.use_clipped_linears), **norms}
    for n in range(vision.num_hidden_layers):
        yield from _under(f"encoder.layers.{n}.", layer).items()
    if vision.standardize:
        yield from {"std_bias": (D,), "std_scale": (D,)}.items()


def _audio(config: ModelConfig) -> Tensors:
    audio, D = config.audio, config.text.hidden_size
    if isinstance(audio, UnifiedAudioConfig):
        return {"model.embed_audio.embedding_projection.weight": (D, audio.audio_embed_dim)}
    if isinstance(audio, AudioConfig):
        tower = _under("model.audio_tower.", dict(_audio_tower(audio)))
        return {**tower, "model.embed_audio.embedding_projection.weight": (D, audio.output_proj_dims)}
    return {}


def _audio_tower(audio: AudioConfig) -> Iterator[tuple[str, Shape]]:
    D, (first, second) = audio.hidden_size, audio.subsampling_conv_channels
    yield "subsample_conv_projection.layer0.conv.weight", (first, 1, 3, 3)
    yield "subsample_conv_projection.layer0.norm.weight", (first,)
    yield "subsample_conv_projection.layer1.conv.weight", (second, first, 3, 3)
    yield "subsample_conv_projection.layer1.norm.weight", (second,)
    yield "subsample_conv_projection.input_proj_linear.weight", (D, NUM_MEL_BINS // 4 * second)
    layer = _conformer(audio)
    for n in range(audio.num_hidden_layers):
        yield from _under(f"layers.{n}.", layer).items()
    yield "output_proj.weight", (audio.output_proj_dims, D)
    yield "output_proj.bias", (audio.output_proj_dims,)


def _conformer(audio: AudioConfig) -> Tensors:
    D = audio.hidden_size
    linears: Tensors = {f"self_attn.{x}.linear.weight": (D, D) for x in ("q_proj", "k_proj", "v_proj", "post")}
    norms: Tensors = {f"{x}.weight": (D,) for x in ("norm_pre_attn", "norm_post_attn", "norm_out")}
    for block in ("feed_forward1", "feed_forward2"):
        linears[f"{block}.ffw_layer_1.linear.weight"] = (4 * D, D)
        linears[f"{block}.ffw_layer_2.linear.weight"] = (D, 4 * D)
        norms |= {f"{block}.pre_layer_norm.weight": (D,), f"{block}.post_layer_norm.weight": (D,)}
    linears |= {"lconv1d.linear_start.linear.weight": (2 * D, D), "lconv1d.linear_end.linear.weight": (D, D)}
    return {
        **_clipped(linears, audio.use_clipped_linears),
        **norms,
        "self_attn.relative_k_proj.weight": (D, D),
        "self_attn.per_dim_scale": (audio.head_dim,),
        "lconv1d.depthwise_conv1d.weight": (D, 1, audio.conv_kernel_size),
        "lconv1d.pre_layer_norm.weight": (D,),
        "lconv1d.conv_norm.weight": (D,),
    }


def _clipped(linears: Tensors, use_clipped_linears: bool) -> Tensors:
    """The linears, each followed by the four scalars that its input and output are clamped to."""
    out: Tensors = {}
    for name, shape in linears.items():
        out[name] = shape
        if use_clipped_linears:
            out |= {f"{name.removesuffix('.linear.weight')}.{clip}": () for clip in CLIPS}
    return out


def _layer_norm(name: str, size: int) -> Tensors:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def _under(prefix: str, tensors: Tensors) -> Tensors:
    return {prefix + name: shape for name, shape in tensors.items()}
