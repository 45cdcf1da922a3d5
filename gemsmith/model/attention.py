"""Attention of one layer: own or shared K/V, sliding or full, with or without a value projection.

B batch   T query tokens   S cached tokens   D hidden   N query heads   K key/value heads   H head dim
"""

from __future__ import annotations

from torch import Tensor, nn

from gemsmith import ops
from gemsmith.cache.dense import DenseCache, KeyValue
from gemsmith.config import LayerConfig, TextConfig
from gemsmith.model.norm import RMSNorm
from gemsmith.model.step import Step


class Attention(nn.Module):
    """Queries, keys and values are normalised per head, so logits need no 1/sqrt(H): the scale is 1."""

    def __init__(self, text: TextConfig, layer: LayerConfig):
        super().__init__()
        self.layer = layer
        D, H, N, K = text.hidden_size, layer.head_dim, text.num_attention_heads, layer.num_key_value_heads
        self.q_proj = nn.Linear(D, N * H, bias=False)
        self.q_norm = RMSNorm(H, text.rms_norm_eps)
        if layer.makes_kv:
            self.k_proj = nn.Linear(D, K * H, bias=False)
            self.k_norm = RMSNorm(H, text.rms_norm_eps)
            self.v_norm = RMSNorm(H, text.rms_norm_eps, with_weight=False)
            if not layer.k_eq_v:
                self.v_proj = nn.Linear(D, K * H, bias=False)
        self.o_proj = nn.Linear(N * H, D, bias=False)

    def keys_and_values(self, x_BTD: Tensor, step: Step, cache: DenseCache | None) -> KeyValue:
        """K and V [B, S, K, H] that this layer, and those sharing with it, read: the new rows after any stored."""
        heads = (-1, self.layer.head_dim)
        k_BTKH = self.k_proj(x_BTD).unflatten(-1, heads)
        v_BTKH = k_BTKH if self.layer.k_eq_v else self.v_proj(x_BTD).unflatten(-1, heads)
        k_BTKH = ops.rope(self.k_norm(k_BTKH), step.rope[self.layer.is_sliding])
        v_BTKH = self.v_norm(v_BTKH)
        return (k_BTKH, v_BTKH) if cache is None else cache.append(self.layer.index, k_BTKH, v_BTKH)

    def forward(self, x_BTD: Tensor, step: Step, kv: KeyValue) -> Tensor:
        k_BSKH, v_BSKH = kv
        q_BTNH = self.q_norm(self.q_proj(x_BTD).unflatten(-1, (-1, self.layer.head_dim)))
        q_BTNH = ops.rope(q_BTNH, step.rope[self.layer.is_sliding])
        y_BTNH = ops.attention(q_BTNH, k_BSKH, v_BSKH, step.mask[self.layer.is_sliding], 1.0)
        return self.o_proj(y_BTNH.flatten(-2))
