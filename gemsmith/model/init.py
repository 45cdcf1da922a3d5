"""Weights from a seed: where training starts, and what stands in where weights need no meaning."""

from __future__ import annotations

import torch
from torch import nn

from gemsmith.config import TextConfig
from gemsmith.model.embedding import ScaledPerLayerEmbedding
from gemsmith.model.text import TextModel


@torch.no_grad()
def initialize(model: nn.Module, seed: int, *, gain: float = 1.0, norm_spread: float = 0.0) -> None:
    """Fill every parameter: matrices with standard deviation gain / sqrt(fan-in), norms with 1 ± `norm_spread`.

    Embeddings get 1 / sqrt(width), so that the scaled rows start with unit variance.
    """
    generator = torch.Generator().manual_seed(seed)
    widths = {id(m.weight): _row_width(m) for m in model.modules() if isinstance(m, nn.Embedding)}
    for parameter in model.parameters():
        if parameter.ndim > 1:
            fan_in = widths.get(id(parameter), parameter.shape[-1])
            scale = 1.0 if id(parameter) in widths else gain
            parameter.normal_(0.0, scale * fan_in**-0.5, generator=generator)
        else:
            parameter.normal_(1.0, norm_spread, generator=generator) if norm_spread else parameter.fill_(1.0)


def random_text_model(text: TextConfig, seed: int) -> TextModel:
    """A model whose every weight matters and whose logits spread: for tests of engines, formats and loading."""
    model = TextModel(text)
    initialize(model, seed, gain=1.5, norm_spread=0.2)
    return model.eval()


def _row_width(embedding: nn.Embedding) -> int:
    return embedding.width if isinstance(embedding, ScaledPerLayerEmbedding) else embedding.embedding_dim
