"""GGUF files to test and measure with: any checkpoint of ours, written with the `gguf` package as llama.cpp's converter
would.

Nothing of `gemsmith.formats.gguf` is used: names come from the package's own table, keys from its methods, blocks from
its quantiser, which has none for Q6_K. Sources: llama.cpp, conversion/gemma.py (Gemma4Model), conversion/base.py,
src/llama-quant.cpp, ggml/src/ggml-quants.c.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from gemsmith.config import ModelConfig, TextConfig
from gemsmith.config.tensors import TEXT_PREFIX, dead_tensors
from gemsmith.formats.tensor import TensorView
from gemsmith.tokenizer.vocabulary import Vocabulary

TYPES = gguf.GGMLQuantizationType
EMBEDDING, PER_LAYER_EMBEDDING = "token_embd.weight", "per_layer_token_embd.weight"
AS_LLAMA_QUANTIZE = {EMBEDDING: "Q6_K", PER_LAYER_EMBEDDING: "Q6_K"}  # where the embedding is the head, beside Q4_0
VISIBLE = {"<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>'}


def write_gguf(
    path: Path,
    config: ModelConfig,
    tensors: Mapping[str, TensorView],
    vocabulary: Vocabulary | None,
    kind: str = "F32",
    *,
    kinds: Mapping[str, str] | None = None,  # other types for some tensors, by GGUF name
    generation: Mapping[str, Any] | None = None,
    chat_template: str | None = None,
    separate_experts: bool = False,
    with_dead: bool = True,
    changes: Mapping[str, np.ndarray | None] | None = None,  # tensors to replace, add or leave out, by GGUF name
) -> Path:
    """Write the text model of a checkpoint with matrices of type `kind`; dead K/V are filled with nonsense."""
    writer = gguf.GGUFWriter(path, "gemma4")
    add_config(writer, config.text)
    add_generation(writer, generation or {})
    if vocabulary is not None:
        add_vocabulary(writer, vocabulary, chat_template)
    arrays = dict(gguf_arrays(config.text, tensors, separate_experts=separate_experts, with_dead=with_dead))
    for name, array in (arrays | dict(changes or {})).items():
        if array is not None:
            as_type = stored_type(name, array.shape, (kinds or {}).get(name, kind))
            writer.add_tensor(name, blocks_of(array, as_type), raw_dtype=as_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_config(writer: gguf.GGUFWriter, text: TextConfig) -> None:
    """The keys that describe the network, in the converter's order."""
    L = text.num_hidden_layers
    sliding = [layer.is_sliding for layer in text.layers]
    full_rope, sliding_rope = text.rope_parameters["full_attention"], text.rope_parameters["sliding_attention"]
    writer.add_type("model")
    writer.add_block_count(L)
    writer.add_context_length(text.max_position_embeddings)
    writer.add_embedding_length(text.hidden_size)
    if text.use_double_wide_mlp:
        writer.add_feed_forward_length([layer.intermediate_size for layer in text.layers])
    else:
        writer.add_feed_forward_length(text.intermediate_size)
    writer.add_head_count(text.num_attention_heads)
    if text.num_global_key_value_heads is not None:
        writer.add_head_count_kv([layer.num_key_value_heads for layer in text.layers])
    else:
        writer.add_head_count_kv(text.num_key_value_heads)
    writer.add_rope_freq_base(full_rope["rope_theta"])
    writer.add_rope_freq_base_swa(sliding_rope["rope_theta"])
    writer.add_layer_norm_rms_eps(text.rms_norm_eps)
    if text.enable_moe_block:
        writer.add_expert_count(text.num_experts)
        writer.add_expert_used_count(text.top_k_experts)
        writer.add_expert_feed_forward_length(text.moe_intermediate_size)
    if text.final_logit_softcapping is not None:
        writer.add_final_logit_softcapping(text.final_logit_softcapping)
    writer.add_sliding_window(text.sliding_window)
    writer.add_shared_kv_layers(text.num_kv_shared_layers)
    writer.add_embedding_length_per_layer_input(text.hidden_size_per_layer_input)
    writer.add_sliding_window_pattern(sliding)
    writer.add_key_length(text.global_head_dim)
    writer.add_value_length(text.global_head_dim)
    writer.add_key_length_swa(text.head_dim)
    writer.add_value_length_swa(text.head_dim)
    writer.add_rope_dimension_count(text.global_head_dim)
    writer.add_rope_dimension_count_swa(text.head_dim)
    writer.add_quantization_version(2)


def add_generation(writer: gguf.GGUFWriter, generation: Mapping[str, Any]) -> None:
    """Sampling values and suppressed ids of a generation_config.json."""
    for key, value in generation.items():
        if key == "top_k":
            writer.add_uint32("general.sampling.top_k", value)
        elif key in ("top_p", "min_p"):
            writer.add_float32(f"general.sampling.{key}", value)
        elif key == "temperature":
            writer.add_float32("general.sampling.temp", value)
        elif key == "suppress_tokens":
            writer.add_array("tokenizer.ggml.suppress_tokens", list(value))


def add_vocabulary(writer: gguf.GGUFWriter, vocabulary: Vocabulary, chat_template: str | None = None) -> None:
    """Tokens, their types, merges and special ids."""
    writer.add_tokenizer_model("gemma4")
    writer.add_token_list(list(vocabulary.tokens))
    writer.add_token_scores([-1000.0] * len(vocabulary.tokens))
    writer.add_token_types([_token_type(vocabulary, id) for id in range(len(vocabulary.tokens))])
    writer.add_token_merges(list(vocabulary.merges))
    for name, add in (("bos", 2), ("eos", 1), ("unk", 3), ("pad", 0), ("mask", 4)):
        getattr(writer, f"add_{name}_token_id")(add)
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    writer.add_add_space_prefix(False)
    writer.add_add_bos_token(True)


def _token_type(vocabulary: Vocabulary, id: int) -> gguf.TokenType:
    text = vocabulary.tokens[id]
    if text in VISIBLE or text in vocabulary.whole:
        return gguf.TokenType.USER_DEFINED
    if id in vocabulary.special:
        return gguf.TokenType.CONTROL
    is_byte = len(text) == 6 and text.startswith("<0x")
    return gguf.TokenType.BYTE if is_byte else gguf.TokenType.NORMAL


def gguf_name(released: str, num_layers: int) -> str:
    """llama.cpp's name for a released text tensor."""
    table = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GEMMA4, num_layers)
    name = "model." + released.removeprefix(TEXT_PREFIX)
    layer = name.split(".")[2]
    if name.endswith("router.scale"):
        return f"blk.{layer}.ffn_gate_inp.scale"
    if name.endswith("router.per_expert_scale"):
        return f"blk.{layer}.ffn_down_exps.scale"
    if not name.endswith(".weight"):
        name += ".weight"
    found = table.get_name(name, try_suffixes=(".weight",))
    assert found is not None, f"the gguf package has no name for {released}"
    return found


def gguf_arrays(
    text: TextConfig, tensors: Mapping[str, TensorView], *, separate_experts: bool = False, with_dead: bool = True
) -> Iterator[tuple[str, np.ndarray]]:
    """Every tensor of the file as float32, under llama.cpp's names."""
    pairs = text.global_head_dim // 2
    turned = int(pairs * text.rope_parameters["full_attention"]["partial_rotary_factor"])
    yield "rope_freqs.weight", np.array([1.0] * turned + [1e30] * (pairs - turned), np.float32)
    for released, view in tensors.items():
        if not released.startswith(TEXT_PREFIX):
            continue
        name, array = gguf_name(released, text.num_hidden_layers), view.numpy()
        if separate_experts and name.endswith("ffn_gate_up_exps.weight"):
            gate, up = np.split(array, 2, axis=1)
            yield name.replace("gate_up", "gate"), np.ascontiguousarray(gate)
            yield name.replace("gate_up", "up"), np.ascontiguousarray(up)
        else:
            yield name, array
    for released, shape in dead_tensors(text).items() if with_dead else ():
        yield gguf_name(released, text.num_hidden_layers), np.full(shape, 7.0, np.float32)


def stored_type(name: str, shape: tuple[int, ...], kind: str) -> gguf.GGMLQuantizationType:
    """What llama.cpp's quantiser gives a tensor: vectors and the router stay floats, odd widths fall back to others."""
    if len(shape) == 1 or name.endswith(("_norm.weight", "ffn_gate_inp.weight")):
        return TYPES.F32
    if kind.startswith("Q") and "per_layer_model_proj" in name:
        return TYPES.BF16
    if kind.startswith("Q") and shape[-1] % 32:
        return TYPES.F16
    if kind == "Q6_K" and shape[-1] % 256:
        return TYPES.Q8_0
    return TYPES[kind]


def blocks_of(array: np.ndarray, kind: gguf.GGMLQuantizationType) -> np.ndarray:
    """Float32 rows in this type: the same shape as floats, or bytes [..., row_bytes]."""
    if kind is TYPES.Q6_K:
        return q6_k_blocks(array.reshape(-1, 256)).reshape(*array.shape[:-1], -1)
    return gguf.quants.quantize(array, kind)


def q6_k_blocks(values: np.ndarray) -> np.ndarray:
    """Float32 [B, 256] as Q6_K [B, 210]: of each 16 numbers the largest gets the code of -32, of their scales the
    largest the code -128. ggml's quantiser also tries scales near by."""
    x = values.reshape(-1, 16, 16)
    scales = _largest(x)[:, :, 0] / np.float32(-32)
    d = (_largest(scales) / np.float32(-128)).astype(np.float16)
    subs = np.clip(_nearest(scales, d), -128, 127).astype(np.int8)
    steps = d.astype(np.float32) * subs.astype(np.float32)
    codes = (np.clip(_nearest(x, steps[:, :, None]), -32, 31) + 32).astype(np.uint8).reshape(-1, 2, 128)
    low, high = codes & 15, (codes >> 4).reshape(-1, 2, 4, 32)
    nibbles = low[:, :, :64] | low[:, :, 64:] << 4
    pairs = high[:, :, 0] | high[:, :, 1] << 2 | high[:, :, 2] << 4 | high[:, :, 3] << 6
    parts = (nibbles.reshape(-1, 128), pairs.reshape(-1, 64), subs.view(np.uint8), d.view(np.uint8))
    return np.concatenate(parts, axis=1)


def _largest(x: np.ndarray) -> np.ndarray:
    """Along the last axis, the number that is farthest from zero."""
    return np.take_along_axis(x, np.argmax(np.abs(x), axis=-1)[..., None], axis=-1)


def _nearest(x: np.ndarray, step: np.ndarray) -> np.ndarray:
    step = np.broadcast_to(step.astype(np.float32), x.shape)
    return np.rint(np.divide(x, step, out=np.zeros_like(x), where=step != 0))
