"""A linear layer between two clamps, as the vision and audio towers of E2B and E4B are made of.

Does not choose the bounds: they come with the checkpoint, one number each for the least and the greatest input and
output. A tower without them (26B-A4B, 31B) has the same module with neither clamp, for the tensors' names stay.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ClippedLinear(nn.Module):
    """clamp(W · clamp(x)): the bounds are tensors of the checkpoint, not weights, so an optimiser leaves them alone."""

    input_min: Tensor
    input_max: Tensor
    output_min: Tensor
    output_max: Tensor

    def __init__(self, in_features: int, out_features: int, *, clipped: bool):
        super().__init__()
        self.linear = nn.Linear(in_features, out_features, bias=False)
        self.clipped = clipped
        if clipped:  # until a checkpoint says otherwise, bounds that nothing reaches
            for where in ("input", "output"):
                self.register_buffer(f"{where}_min", torch.tensor(-torch.inf))
                self.register_buffer(f"{where}_max", torch.tensor(torch.inf))

    def forward(self, x: Tensor) -> Tensor:
        if not self.clipped:
            return self.linear(x)
        y = self.linear(x.clamp(self.input_min, self.input_max))
        return y.clamp(self.output_min, self.output_max)
