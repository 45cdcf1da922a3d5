"""From log-mel frames to a quarter as many tokens: two strided convolutions over time and pitch, and a matrix.

B batch   T log-mel frames   F mel bins   M media (soft) tokens   C channels   D hidden
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from gemsmith.config import AudioConfig
from gemsmith.config.media import NUM_MEL_BINS, SUBSAMPLING


class Subsampling(nn.Module):
    """[B, T, F] to [B, M, D]: M is T / 4, rounded up."""

    def __init__(self, audio: AudioConfig):
        super().__init__()
        first, second = audio.subsampling_conv_channels
        self.layer0 = SubsamplingLayer(1, first, audio.rms_norm_eps)
        self.layer1 = SubsamplingLayer(first, second, audio.rms_norm_eps)
        self.input_proj_linear = nn.Linear(NUM_MEL_BINS // SUBSAMPLING * second, audio.hidden_size, bias=False)

    def forward(self, mel_BTF: Tensor, valid_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [B, M, D], and which of them are valid, [B, M]."""
        x_BCTF = mel_BTF[:, None].to(self.input_proj_linear.weight.dtype)
        x_BCTF, valid_BT = self.layer0(x_BCTF, valid_BT)
        x_BCMF, valid_BM = self.layer1(x_BCTF, valid_BT)
        x_BMFC = x_BCMF.permute(0, 2, 3, 1)  # of a token's numbers, the channel changes fastest
        return self.input_proj_linear(x_BMFC.flatten(2)), valid_BM


class SubsamplingLayer(nn.Module):
    """Every second frame and every second bin, each from the 3 × 3 around it; normalised over channels; ReLU."""

    def __init__(self, in_channels: int, out_channels: int, eps: float):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=2, padding=1, bias=False)
        self.norm = nn.LayerNorm(out_channels, eps, bias=False)

    def forward(self, x_BCTF: Tensor, valid_BT: Tensor) -> tuple[Tensor, Tensor]:
        # What lies beyond a sound's end is silence to the convolution, be it the tensor's edge or another sound's room.
        x_BCTF = x_BCTF * valid_BT[:, None, :, None].to(x_BCTF.dtype)
        # Channels first in memory, as upstream: another order sums in another order, and rounding grows with layers.
        y_BTFC = self.norm(self.conv(x_BCTF.contiguous()).permute(0, 2, 3, 1))
        return F.relu(y_BTFC.permute(0, 3, 1, 2)), valid_BT[:, ::2]
