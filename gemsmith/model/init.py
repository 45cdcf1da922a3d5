"""Weights from a seed: where training starts, and what stands in where weights need no meaning."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gemsmith.config import ModelConfig, TextConfig
from gemsmith.config.tensors import CLIPS
from gemsmith.model.embedding import ScaledPerLayerEmbedding
from gemsmith.model.senses import Senses
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


@torch.no_grad()
def random_senses(config: ModelConfig, seed: int) -> Senses:
    """Senses whose every number matters: clips that bite now and then, positions that show, biases that shift."""
    with torch.device("meta"):
        senses = Senses(config)
    generator = torch.Generator().manual_seed(seed)
    state = {name: _sense_tensor(name, tuple(x.shape), generator) for name, x in senses.state_dict().items()}
    senses.load_state_dict(state, assign=True)
    return senses.eval()


def _sense_tensor(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    drawn = torch.randn(shape, generator=generator)
    last = name.rpartition(".")[2]
    if last in CLIPS:  # of numbers whose spread is about 1
        bound = 2.0 + 0.5 * drawn.tanh()
        return -bound if last.endswith("_min") else bound
    if last in ("position_embedding_table", "pos_embedding"):
        return 0.5 * drawn
    if last in ("bias", "std_bias", "per_dim_scale"):
        return 0.2 * drawn
    if len(shape) > 1:
        return drawn * math.prod(shape[1:]) ** -0.5
    return 1 + 0.2 * drawn
