"""Token ids to vectors: the scaled embedding, and the per-layer embeddings of E2B and E4B.

    B batch   T query tokens   D hidden   L layers   P per-layer width

Sources: Gemma 4 Technical Report §2; upstream `transformers` models/gemma4 (get_per_layer_inputs).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gemsmith.config import TextConfig
from gemsmith.model.norm import RMSNorm


class ScaledEmbedding(nn.Embedding):
    """Rows times sqrt(width). The factor is rounded to the weights' type first, as training did (bf16: 39.25)."""

    def __init__(self, vocab_size: int, width: int):
        # Left empty: weights come from a checkpoint or from `init`, and torch's own filling imports its compiler (1 s).
        super().__init__(vocab_size, width, _weight=torch.empty(vocab_size, width))

    def forward(self, ids_BT: Tensor) -> Tensor:
        scale = torch.tensor(math.sqrt(self.embedding_dim), dtype=self.weight.dtype, device=self.weight.device)
        return super().forward(ids_BT) * scale


class ScaledPerLayerEmbedding(nn.Embedding):
    """One table for all layers, layer-major along a row: [V, L * P]; looked up as [B, T, L, P], times sqrt(P)."""

    def __init__(self, vocab_size: int, num_layers: int, width: int):
        super().__init__(vocab_size, num_layers * width, _weight=torch.empty(vocab_size, num_layers * width))
        self.width = width

    def forward(self, ids_BT: Tensor) -> Tensor:
        scale = torch.tensor(math.sqrt(self.width), dtype=self.weight.dtype, device=self.weight.device)
        return (super().forward(ids_BT) * scale).unflatten(-1, (-1, self.width))


def per_layer_inputs(
    tokens_BTLP: Tensor, h_BTD: Tensor, projection: nn.Linear, norm: RMSNorm, text: TextConfig
) -> Tensor:
    """What each layer is told about each token, [B, T, L, P]: its own table's row, and a view of the embedding."""
    context_BTLP = projection(h_BTD) * text.hidden_size**-0.5
    context_BTLP = norm(context_BTLP.unflatten(-1, (text.num_hidden_layers, -1)))
    return (context_BTLP + tokens_BTLP) * 2**-0.5
