"""AdamW, with decay on matrices alone: norms, scalars and gains have no reason to shrink."""

from __future__ import annotations

import torch
from torch import nn


def adamw(model: nn.Module, *, weight_decay: float, betas: tuple[float, float]) -> torch.optim.AdamW:
    """Two groups by number of dimensions; the learning rate is set at every step by the loop."""
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, betas=betas, fused=True)
