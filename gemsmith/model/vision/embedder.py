"""12B sees without a tower: every square of 48 x 48 pixels becomes a soft token by one matrix between three norms.

Squares of a picture do not meet here: they do so in the text decoder, whose sliding layers look both ways inside a
picture. The last step, to the decoder's width, is `MediaProjection`.

    B batch   M soft tokens   D mm_embed_dim

Upstream: `transformers` models/gemma4_unified/modeling_gemma4_unified.py (Gemma4UnifiedVisionEmbedder).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gemsmith.config import UnifiedVisionConfig
from gemsmith.model.vision.patches import cut, grid, places


class VisionEmbedder(nn.Module):
    """Norm, matrix, norm, learned vectors for column and row, norm. These are LayerNorms, with means and biases."""

    def __init__(self, vision: UnifiedVisionConfig):
        super().__init__()
        self.vision = vision
        pixels, D = 3 * vision.model_patch_size**2, vision.mm_embed_dim
        self.patch_ln1 = nn.LayerNorm(pixels)
        self.patch_dense = nn.Linear(pixels, D)
        self.patch_ln2 = nn.LayerNorm(D)
        # Drawn by `init`: a draw on the `meta` device would import torch's compiler, which takes seconds.
        table = torch.zeros(vision.mm_posemb_size, 2, D)  # of each place, as a column and as a row
        self.pos_embedding = nn.Parameter(table)
        self.pos_norm = nn.LayerNorm(D)

    def forward(self, rgb_BHWC: Tensor) -> Tensor:
        """Soft tokens [B, M, D] of pictures of one size, float32 in [0, 1]; sides are multiples of a token's square."""
        side = self.vision.model_patch_size
        rows, columns = grid(rgb_BHWC, side, self.vision.mm_posemb_size)
        x, y = places(rows, columns, rgb_BHWC.device).unbind(-1)
        squares_BMC = cut(rgb_BHWC, side).to(self.patch_dense.weight.dtype)
        h_BMD = self.patch_ln2(self.patch_dense(self.patch_ln1(squares_BMC)))
        return self.pos_norm(h_BMD + (self.pos_embedding[x, 0] + self.pos_embedding[y, 1]))
