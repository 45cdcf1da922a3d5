"""One table of tensor names: llama.cpp's, and what the released files call the same tensor.

Source: llama.cpp, gguf-py/gguf/tensor_mapping.py, conversion/gemma.py (Gemma4Model) and src/models/gemma4.cpp.
"""

from __future__ import annotations

import re

from gemsmith.config.tensors import TEXT_PREFIX

ROPE_FREQS = "rope_freqs.weight"  # no weight: which pairs of a full layer's heads are not turned
HEAD = "output.weight"  # Gemma's head is its embedding; a file may have a copy
GATE_UP = "experts.gate_up_proj"
SEPARATE_EXPERTS = ("ffn_gate_exps.weight", "ffn_up_exps.weight")  # of older files, which do not join the two

GLOBAL = {
    "token_embd.weight": "embed_tokens.weight",
    "per_layer_token_embd.weight": "embed_tokens_per_layer.weight",
    "per_layer_model_proj.weight": "per_layer_model_projection.weight",
    "per_layer_proj_norm.weight": "per_layer_projection_norm.weight",
    "output_norm.weight": "norm.weight",
}
BLOCK = {  # blk.N.… and layers.N.…
    "attn_norm.weight": "input_layernorm.weight",
    "attn_q.weight": "self_attn.q_proj.weight",
    "attn_k.weight": "self_attn.k_proj.weight",
    "attn_v.weight": "self_attn.v_proj.weight",
    "attn_q_norm.weight": "self_attn.q_norm.weight",
    "attn_k_norm.weight": "self_attn.k_norm.weight",
    "attn_output.weight": "self_attn.o_proj.weight",
    "post_attention_norm.weight": "post_attention_layernorm.weight",
    "ffn_norm.weight": "pre_feedforward_layernorm.weight",
    "ffn_gate.weight": "mlp.gate_proj.weight",
    "ffn_up.weight": "mlp.up_proj.weight",
    "ffn_down.weight": "mlp.down_proj.weight",
    "post_ffw_norm.weight": "post_feedforward_layernorm.weight",
    "layer_output_scale.weight": "layer_scalar",
    "inp_gate.weight": "per_layer_input_gate.weight",  # E2B and E4B
    "proj.weight": "per_layer_projection.weight",
    "post_norm.weight": "post_per_layer_input_norm.weight",
    "ffn_gate_inp.weight": "router.proj.weight",  # 26B-A4B
    "ffn_gate_inp.scale": "router.scale",
    "ffn_down_exps.scale": "router.per_expert_scale",
    "ffn_gate_up_exps.weight": GATE_UP,
    "ffn_down_exps.weight": "experts.down_proj",
    "pre_ffw_norm_2.weight": "pre_feedforward_layernorm_2.weight",
    "post_ffw_norm_1.weight": "post_feedforward_layernorm_1.weight",
    "post_ffw_norm_2.weight": "post_feedforward_layernorm_2.weight",
}

_BLOCK_NAME = re.compile(r"blk\.(0|[1-9][0-9]{0,3})\.(.+)")


def released_name(name: str) -> str | None:
    """The released name of a tensor; None for one that has none."""
    if (block := _BLOCK_NAME.fullmatch(name)) and block[2] in BLOCK:
        return f"{TEXT_PREFIX}layers.{block[1]}.{BLOCK[block[2]]}"
    return TEXT_PREFIX + GLOBAL[name] if name in GLOBAL else None
