"""RMS normalisation as a module: a weight that multiplies as it is, or none."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gemsmith import ops


class RMSNorm(nn.Module):
    """Normalises the last dimension, of size `dim`. `with_weight=False` is the "no scale" norm of values and router."""

    weight: Tensor | None

    def __init__(self, dim: int, eps: float, *, with_weight: bool = True):
        super().__init__()
        self.eps = eps
        if with_weight:
            self.weight = nn.Parameter(torch.ones(dim))
        else:
            self.register_parameter("weight", None)

    def forward(self, x: Tensor) -> Tensor:
        return ops.rms_norm(x, self.weight, self.eps)
