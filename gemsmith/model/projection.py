"""From a sense's width to the text decoder's: what a tower (or a frame of sound) passes before it is a soft token.

Does not place soft tokens among text; see `soft.py` for that.

B batch   M media (soft) tokens   D hidden width of the text decoder
"""

from __future__ import annotations

from torch import Tensor, nn

from gemsmith.model.norm import RMSNorm


class MediaProjection(nn.Module):
    """A norm without a weight, then one matrix. Its output is not scaled by sqrt(D), as embedded text is."""

    def __init__(self, in_features: int, out_features: int, eps: float):
        super().__init__()
        self.embedding_pre_projection_norm = RMSNorm(in_features, eps, with_weight=False)
        self.embedding_projection = nn.Linear(in_features, out_features, bias=False)

    def forward(self, x_BMH: Tensor) -> Tensor:
        """Soft tokens [B, M, D] in the dtype of the weights, whatever that of `x` (raw sound comes as float32)."""
        x_BMH = x_BMH.to(self.embedding_projection.weight.dtype)
        return self.embedding_projection(self.embedding_pre_projection_norm(x_BMH))
