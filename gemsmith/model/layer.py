"""One decoder layer, read top to bottom.

B batch   T query tokens   D hidden   P per-layer width
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gemsmith import ops
from gemsmith.cache.dense import DenseCache, KeyValue
from gemsmith.config import LayerConfig, TextConfig
from gemsmith.model.attention import Attention
from gemsmith.model.feedforward import MLP, Experts, Router
from gemsmith.model.norm import RMSNorm
from gemsmith.model.step import Step


class DecoderLayer(nn.Module):
    """Attention and feed-forward, each between two norms; the per-layer embedding's step; one scalar over all."""

    def __init__(self, text: TextConfig, layer: LayerConfig):
        super().__init__()
        D, P, eps = text.hidden_size, text.hidden_size_per_layer_input, text.rms_norm_eps
        self.layer = layer
        self.input_layernorm = RMSNorm(D, eps)
        self.self_attn = Attention(text, layer)
        self.post_attention_layernorm = RMSNorm(D, eps)
        self.pre_feedforward_layernorm = RMSNorm(D, eps)
        self.mlp = MLP(text, layer)
        self.post_feedforward_layernorm = RMSNorm(D, eps)
        self.has_experts = text.enable_moe_block
        if self.has_experts:
            self.router = Router(text)
            self.experts = Experts(text)
            self.post_feedforward_layernorm_1 = RMSNorm(D, eps)
            self.pre_feedforward_layernorm_2 = RMSNorm(D, eps)
            self.post_feedforward_layernorm_2 = RMSNorm(D, eps)
        self.has_per_layer_input = P > 0
        if self.has_per_layer_input:
            self.per_layer_input_gate = nn.Linear(D, P, bias=False)
            self.per_layer_projection = nn.Linear(P, D, bias=False)
            self.post_per_layer_input_norm = RMSNorm(D, eps)
        self.layer_scalar = nn.Parameter(torch.ones(1))

    def forward(
        self, x_BTD: Tensor, ple_BTP: Tensor | None, step: Step, shared: KeyValue | None, cache: DenseCache | None
    ) -> tuple[Tensor, KeyValue]:
        """The layer's output, and the K/V it read. `shared` is the K/V of the layer it shares with, if it does.

        K/V travel as values, never through the cache object, so that recomputing a layer in backward is right.
        """
        h_BTD = self.input_layernorm(x_BTD)
        kv = shared if shared is not None else self.self_attn.keys_and_values(h_BTD, step, cache)
        x_BTD = x_BTD + self.post_attention_layernorm(self.self_attn(h_BTD, step, kv))
        x_BTD = x_BTD + self.post_feedforward_layernorm(self._feed_forward(x_BTD))
        if ple_BTP is not None:
            y_BTP = ops.gelu_gate(self.per_layer_input_gate(x_BTD), ple_BTP)
            x_BTD = x_BTD + self.post_per_layer_input_norm(self.per_layer_projection(y_BTP))
        return x_BTD * self.layer_scalar, kv

    def _feed_forward(self, r_BTD: Tensor) -> Tensor:
        y_BTD = self.mlp(self.pre_feedforward_layernorm(r_BTD))
        if not self.has_experts:
            return y_BTD
        # Router and experts read the residual itself, not what the dense MLP reads.
        r_MD = r_BTD.flatten(0, 1)
        e_MD = self.experts(self.pre_feedforward_layernorm_2(r_MD), *self.router(r_MD))
        return self.post_feedforward_layernorm_1(y_BTD) + self.post_feedforward_layernorm_2(e_MD).view_as(r_BTD)
