"""The vision towers of E2B/E4B (clipped) and 26B-A4B/31B (standardised): pixels in, the tower's own soft tokens out.

What differs between the two is in `VisionConfig`: widths, `use_clipped_linears`, `standardize`. The step to the text
decoder's width is `MediaProjection`; 12B has no tower but `VisionEmbedder`.

    B batch   T patches   M soft tokens   D hidden

Upstream: `transformers` models/gemma4/modeling_gemma4.py (Gemma4VisionModel).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gemsmith import ops
from gemsmith.config import VisionConfig
from gemsmith.model.vision.layer import CosSin, VisionLayer
from gemsmith.model.vision.patches import PatchEmbedder, cut, grid, places


class Encoder(nn.Module):
    """The layers, one after the other; no norm at the end."""

    def __init__(self, vision: VisionConfig):
        super().__init__()
        self.layers = nn.ModuleList(VisionLayer(vision) for _ in range(vision.num_hidden_layers))

    def forward(self, x_BTD: Tensor, rope: CosSin) -> Tensor:
        for layer in self.layers:
            x_BTD = layer(x_BTD, rope)
        return x_BTD


class VisionTower(nn.Module):
    """Patches, layers, and one soft token for every square of `pooling_kernel_size` x `pooling_kernel_size` patches."""

    std_bias: Tensor
    std_scale: Tensor

    def __init__(self, vision: VisionConfig):
        super().__init__()
        self.vision = vision
        self.patch_embedder = PatchEmbedder(vision)
        self.encoder = Encoder(vision)
        if vision.standardize:  # measured, not learned, hence no parameters
            self.register_buffer("std_bias", torch.zeros(vision.hidden_size))
            self.register_buffer("std_scale", torch.ones(vision.hidden_size))

    def forward(self, rgb_BHWC: Tensor) -> Tensor:
        """Soft tokens [B, M, D] of pictures of one size, float32 in [0, 1]; sides are multiples of a token's square."""
        vision = self.vision
        rows, columns = grid(rgb_BHWC, vision.patch_size, vision.position_embedding_size)
        places_T2 = places(rows, columns, rgb_BHWC.device)
        rope = ops.rope_table(places_T2[None], vision.head_dim // 2, vision.rope_theta, vision.head_dim // 4)
        x_BTD = self.patch_embedder(cut(rgb_BHWC, vision.patch_size), places_T2)
        x_BTD = self.encoder(x_BTD, rope)
        return self._pooled(x_BTD.unflatten(1, (rows, columns))).to(x_BTD.dtype)

    def _pooled(self, x_BYXD: Tensor) -> Tensor:
        """In float32: sqrt(D) times a layer's output may leave float16, and the bias takes away what is large."""
        y_BMD = ops.pool_2d(x_BYXD, self.vision.pooling_kernel_size) * self.vision.hidden_size**0.5
        if self.vision.standardize:
            y_BMD = (y_BMD - self.std_bias.float()) * self.std_scale.float()
        return y_BMD
