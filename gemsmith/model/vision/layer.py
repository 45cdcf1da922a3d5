"""One layer of a vision tower, read top to bottom: every patch sees every other, both ways.

Like a text layer it puts a norm before and after each half; unlike one it has no mask, no cache and as many key heads
as query heads, its heads turn with column and row, and its linears may be clipped.

    B batch   T patches   D hidden   N heads   H head dim
"""

from __future__ import annotations

from torch import Tensor, nn

from gemsmith import ops
from gemsmith.config import VisionConfig
from gemsmith.model.clipped import ClippedLinear
from gemsmith.model.norm import RMSNorm

CosSin = tuple[Tensor, Tensor]  # each [1, T, 2, H/4]: the angles of a patch's column and row


class VisionAttention(nn.Module):
    """Queries, keys and values are normalised per head, so logits need no 1/sqrt(H): the scale is 1."""

    def __init__(self, vision: VisionConfig):
        super().__init__()
        D, H, clipped, eps = vision.hidden_size, vision.head_dim, vision.use_clipped_linears, vision.rms_norm_eps
        self.head_dim = H
        self.q_proj = ClippedLinear(D, vision.num_attention_heads * H, clipped=clipped)
        self.k_proj = ClippedLinear(D, vision.num_attention_heads * H, clipped=clipped)
        self.v_proj = ClippedLinear(D, vision.num_attention_heads * H, clipped=clipped)
        self.o_proj = ClippedLinear(vision.num_attention_heads * H, D, clipped=clipped)
        self.q_norm, self.k_norm = RMSNorm(H, eps), RMSNorm(H, eps)
        self.v_norm = RMSNorm(H, eps, with_weight=False)

    def forward(self, x_BTD: Tensor, rope: CosSin) -> Tensor:
        heads = (-1, self.head_dim)
        q_BTNH = ops.rope_2d(self.q_norm(self.q_proj(x_BTD).unflatten(-1, heads)), rope)
        k_BTNH = ops.rope_2d(self.k_norm(self.k_proj(x_BTD).unflatten(-1, heads)), rope)
        v_BTNH = self.v_norm(self.v_proj(x_BTD).unflatten(-1, heads))
        y_BTNH = ops.attention(q_BTNH, k_BTNH, v_BTNH, None, 1.0)
        return self.o_proj(y_BTNH.flatten(-2))


class VisionMLP(nn.Module):
    """down(gelu(gate(x)) * up(x))."""

    def __init__(self, vision: VisionConfig):
        super().__init__()
        D, F, clipped = vision.hidden_size, vision.intermediate_size, vision.use_clipped_linears
        self.gate_proj = ClippedLinear(D, F, clipped=clipped)
        self.up_proj = ClippedLinear(D, F, clipped=clipped)
        self.down_proj = ClippedLinear(F, D, clipped=clipped)

    def forward(self, x_BTD: Tensor) -> Tensor:
        return self.down_proj(ops.gelu_gate(self.gate_proj(x_BTD), self.up_proj(x_BTD)))


class VisionLayer(nn.Module):
    """Attention and feed-forward, each between two norms."""

    def __init__(self, vision: VisionConfig):
        super().__init__()
        D, eps = vision.hidden_size, vision.rms_norm_eps
        self.input_layernorm = RMSNorm(D, eps)
        self.self_attn = VisionAttention(vision)
        self.post_attention_layernorm = RMSNorm(D, eps)
        self.pre_feedforward_layernorm = RMSNorm(D, eps)
        self.mlp = VisionMLP(vision)
        self.post_feedforward_layernorm = RMSNorm(D, eps)

    def forward(self, x_BTD: Tensor, rope: CosSin) -> Tensor:
        x_BTD = x_BTD + self.post_attention_layernorm(self.self_attn(self.input_layernorm(x_BTD), rope))
        return x_BTD + self.post_feedforward_layernorm(self.mlp(self.pre_feedforward_layernorm(x_BTD)))
