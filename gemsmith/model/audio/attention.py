"""Attention among neighbours: each token sees the few before it, and how far back they are.

    B batch   M media (soft) tokens   W tokens that one token attends to, oldest first   D hidden   N heads   H head dim

Upstream works in chunks of `attention_chunk_size` tokens, which hold twice the keys that are seen and mask the rest;
here each token has a window of just those it sees, so that a row of the window has one distance, and nothing has to be
shifted. The sums are the same.
Sources: Dai et al., Transformer-XL (arXiv 1901.02860) for the two terms of the logits; upstream `transformers`
models/gemma4/modeling_gemma4.py for scales and reach.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gemsmith import ops
from gemsmith.config import AudioConfig
from gemsmith.model.clipped import ClippedLinear


class AudioAttention(nn.Module):
    """Logits are what a key says to a query plus what its distance says, capped smoothly; all of it in float32."""

    def __init__(self, audio: AudioConfig):
        super().__init__()
        self.audio = audio
        D, H = audio.hidden_size, audio.head_dim
        self.q_proj = ClippedLinear(D, D, clipped=audio.use_clipped_linears)
        self.k_proj = ClippedLinear(D, D, clipped=audio.use_clipped_linears)
        self.v_proj = ClippedLinear(D, D, clipped=audio.use_clipped_linears)
        self.post = ClippedLinear(D, D, clipped=audio.use_clipped_linears)
        self.relative_k_proj = nn.Linear(D, D, bias=False)
        self.per_dim_scale = nn.Parameter(torch.zeros(H))  # 0 stands for a factor of 1, see `_query_scale`

    def forward(self, x_BMD: Tensor, position_WD: Tensor, seen_BMW: Tensor) -> Tensor:
        heads, reach = (-1, self.audio.head_dim), self.audio.reach
        q_BMNH = self.q_proj(x_BMD).float().unflatten(-1, heads) * self._query_scale()
        k_BMNH = self.k_proj(x_BMD).float().unflatten(-1, heads) * (math.log(1 + math.e) / math.log(2))
        v_BMNH = self.v_proj(x_BMD).float().unflatten(-1, heads)
        distance_WNH = self.relative_k_proj(position_WD).float().unflatten(-1, heads)

        logits_BMNW = torch.einsum("bmnh,bmnhw->bmnw", q_BMNH, windows(k_BMNH, reach))
        logits_BMNW = logits_BMNW + torch.einsum("bmnh,wnh->bmnw", q_BMNH, distance_WNH)
        logits_BMNW = ops.softcap(logits_BMNW, self.audio.attention_logit_cap)
        # A number, not -inf: a token that is not valid may see none at all, and must not become NaN.
        hidden_BMNW = ~seen_BMW[:, :, None]
        probs_BMNW = logits_BMNW.masked_fill(hidden_BMNW, self.audio.attention_invalid_logits_value).softmax(-1)
        y_BMNH = torch.einsum("bmnw,bmnhw->bmnh", probs_BMNW, windows(v_BMNH, reach))
        return self.post(y_BMNH.flatten(-2).to(x_BMD.dtype))

    def _query_scale(self) -> Tensor:
        """One factor for each dimension of a head, 1/sqrt(H) where its parameter is 0: softplus(0) = ln 2."""
        return F.softplus(self.per_dim_scale.float()) * (self.audio.head_dim**-0.5 / math.log(2))


def windows(x: Tensor, reach: tuple[int, int]) -> Tensor:
    """[B, M, ...] to [B, M, ..., W]: beside each token, those it reaches; zeros (False) beyond both ends."""
    back, ahead = reach
    padded = F.pad(x, (0, 0) * (x.ndim - 2) + (back, ahead))
    return padded.unfold(1, back + 1 + ahead, 1)


def relative_positions(audio: AudioConfig, device: torch.device) -> Tensor:
    """For each token of a window, sines and cosines [W, D] of how far back it is, float32.

    Upstream numbers its table from half a chunk's context down to 0, which in the released configs is the distance
    itself; with other sizes of chunks it is off by a constant, and what would be below 0 has no position.
    """
    back, ahead = audio.reach
    before = audio.attention_context_left - 1
    offset = (audio.attention_chunk_size + before + audio.attention_context_right) // 2 - before
    position_W = torch.arange(back, -ahead - 1, -1, device=device) + offset
    pairs = audio.hidden_size // 2
    step = math.log(10_000) / max(pairs - 1, 1)
    angles = position_W[:, None] * torch.exp(torch.arange(pairs, device=device) * -step)
    return torch.cat([angles.sin(), angles.cos()], dim=-1) * (position_W >= 0)[:, None]
