"""One conformer layer, read from the bottom up: feed-forward, attention, convolution, feed-forward.

    B batch   M media (soft) tokens   C chunks of Q tokens   S tokens that a chunk's are shown   P places of a distance
    D hidden

Sources: Gulati et al., Conformer (arXiv 2005.08100); upstream `transformers` models/gemma4/modeling_gemma4.py.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gemsmith.config import AudioConfig
from gemsmith.model.audio.attention import AudioAttention
from gemsmith.model.clipped import ClippedLinear
from gemsmith.model.norm import RMSNorm

EPS = 1e-6  # of the norms around feed-forward and attention, whatever `rms_norm_eps` says: the convolution's heed it


class FeedForward(nn.Module):
    """Half a step: the residual takes `residual_weight` (0.5) of what the MLP, four times as wide, adds."""

    def __init__(self, audio: AudioConfig):
        super().__init__()
        D, clipped = audio.hidden_size, audio.use_clipped_linears
        self.audio = audio
        self.pre_layer_norm = RMSNorm(D, EPS)
        self.ffw_layer_1 = ClippedLinear(D, 4 * D, clipped=clipped)
        self.ffw_layer_2 = ClippedLinear(4 * D, D, clipped=clipped)
        self.post_layer_norm = RMSNorm(D, EPS)

    def forward(self, x_BMD: Tensor) -> Tensor:
        y_BMD = self.pre_layer_norm(bounded(x_BMD, self.audio))
        y_BMD = self.ffw_layer_2(F.silu(self.ffw_layer_1(y_BMD)))
        y_BMD = self.post_layer_norm(bounded(y_BMD, self.audio))
        return x_BMD + y_BMD * self.audio.residual_weight


class LightConvolution(nn.Module):
    """A gate, then each channel on its own over the last few tokens: what is still to come is not heard."""

    def __init__(self, audio: AudioConfig):
        super().__init__()
        D, clipped = audio.hidden_size, audio.use_clipped_linears
        self.audio = audio
        self.pre_layer_norm = RMSNorm(D, audio.rms_norm_eps)
        self.linear_start = ClippedLinear(D, 2 * D, clipped=clipped)
        self.depthwise_conv1d = nn.Conv1d(D, D, audio.conv_kernel_size, groups=D, bias=False)
        self.conv_norm = RMSNorm(D, audio.rms_norm_eps)
        self.linear_end = ClippedLinear(D, D, clipped=clipped)

    def forward(self, x_BMD: Tensor) -> Tensor:
        y_BMD = F.glu(self.linear_start(self.pre_layer_norm(x_BMD)))
        before = self.audio.conv_kernel_size - 1
        y_BMD = self.depthwise_conv1d(F.pad(y_BMD.mT, (before, 0))).mT
        y_BMD = F.silu(self.conv_norm(bounded(y_BMD, self.audio)))
        return x_BMD + self.linear_end(y_BMD)


class ConformerLayer(nn.Module):
    """The residual passes the two half steps, attention and convolution; the last norm then takes its place."""

    def __init__(self, audio: AudioConfig):
        super().__init__()
        self.audio = audio
        self.feed_forward1 = FeedForward(audio)
        self.norm_pre_attn = RMSNorm(audio.hidden_size, EPS)
        self.self_attn = AudioAttention(audio)
        self.norm_post_attn = RMSNorm(audio.hidden_size, EPS)
        self.lconv1d = LightConvolution(audio)
        self.feed_forward2 = FeedForward(audio)
        self.norm_out = RMSNorm(audio.hidden_size, EPS)

    def forward(self, x_BMD: Tensor, position_PD: Tensor, seen_BCQS: Tensor) -> Tensor:
        x_BMD = self.feed_forward1(x_BMD)
        y_BMD = self.self_attn(self.norm_pre_attn(bounded(x_BMD, self.audio)), position_PD, seen_BCQS)
        x_BMD = x_BMD + self.norm_post_attn(bounded(y_BMD, self.audio))
        x_BMD = self.feed_forward2(self.lconv1d(x_BMD))
        return self.norm_out(bounded(x_BMD, self.audio))


def bounded(x: Tensor, audio: AudioConfig) -> Tensor:
    """Within ± `gradient_clipping` (10¹⁰), or the type's largest number, so that no square in a norm is infinite."""
    limit = min(audio.gradient_clipping, torch.finfo(x.dtype).max)
    return x.clamp(-limit, limit)
