"""The feed-forward half of a layer: the gated MLP, and the mixture of experts that 26B-A4B runs beside it.

B batch   T query tokens   M = B·T tokens   D hidden   F mlp width   E experts   A active experts
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gemsmith import ops
from gemsmith.config import LayerConfig, TextConfig
from gemsmith.model.norm import RMSNorm


class MLP(nn.Module):
    """down(gelu(gate(x)) * up(x))."""

    def __init__(self, text: TextConfig, layer: LayerConfig):
        super().__init__()
        self.gate_proj = nn.Linear(text.hidden_size, layer.intermediate_size, bias=False)
        self.up_proj = nn.Linear(text.hidden_size, layer.intermediate_size, bias=False)
        self.down_proj = nn.Linear(layer.intermediate_size, text.hidden_size, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        return self.down_proj(ops.gelu_gate(self.gate_proj(x_BTD), self.up_proj(x_BTD)))


class Router(nn.Module):
    """Chooses each token's experts from the residual itself, normalised without a weight and then scaled."""

    def __init__(self, text: TextConfig):
        super().__init__()
        assert text.num_experts is not None and text.top_k_experts is not None
        self.num_active = text.top_k_experts
        self.norm = RMSNorm(text.hidden_size, text.rms_norm_eps, with_weight=False)
        self.proj = nn.Linear(text.hidden_size, text.num_experts, bias=False)
        self.scale = nn.Parameter(torch.ones(text.hidden_size))
        self.per_expert_scale = nn.Parameter(torch.ones(text.num_experts))

    def forward(self, r_MD: Tensor) -> tuple[Tensor, Tensor]:
        """Weights and indices [M, A] of the active experts."""
        t_MD = self.norm(r_MD) * self.scale * r_MD.shape[-1] ** -0.5
        weights_MA, index_MA = ops.route(self.proj(t_MD), self.num_active)
        return weights_MA * self.per_expert_scale[index_MA], index_MA


class Experts(nn.Module):
    """All experts' weights stacked, as the checkpoint has them: gate rows before up rows."""

    def __init__(self, text: TextConfig):
        super().__init__()
        E, F, D = text.num_experts, text.moe_intermediate_size, text.hidden_size
        assert E is not None and F is not None
        self.gate_up_proj = nn.Parameter(torch.empty(E, 2 * F, D))
        self.down_proj = nn.Parameter(torch.empty(E, D, F))

    def forward(self, x_MD: Tensor, weights_MA: Tensor, index_MA: Tensor) -> Tensor:
        return ops.experts(x_MD, weights_MA, index_MA, self.gate_up_proj, self.down_proj)
