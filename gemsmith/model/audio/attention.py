"""Attention among neighbours: each token sees the few before it, and how far back they are.

    B batch   M media (soft) tokens   C chunks of Q tokens   S tokens that a chunk's are shown, oldest first
    P places of a distance   D hidden   N heads   H head dim

Chunks of tokens share the keys that any of them sees, and each masks those beyond its own reach, so that work grows
with a sound's length and not with its square. Every sum is upstream's, with the same terms in the same order, so that
the tower is exact to the last bit; a window for each token, a tenth quicker, was 1e-6 off, which decoders amplify.
Sources: Dai et al., Transformer-XL (arXiv 1901.02860) for the two terms of the logits and their shift; upstream
`transformers` models/gemma4/modeling_gemma4.py for scales and reach.
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
        self.per_dim_scale = nn.Parameter(torch.zeros(H))  # 0 stands for a factor of 1: softplus(0) = ln 2

    def forward(self, x_BMD: Tensor, position_PD: Tensor, seen_BCQS: Tensor) -> Tensor:
        heads = (-1, self.audio.head_dim)
        q_BMNH = self.q_proj(x_BMD).float().unflatten(-1, heads) * (self.audio.head_dim**-0.5 / math.log(2))
        k_BMNH = self.k_proj(x_BMD).float().unflatten(-1, heads) * (math.log(1 + math.e) / math.log(2))
        v_BMNH = self.v_proj(x_BMD).float().unflatten(-1, heads)
        distance_PNH = self.relative_k_proj(position_PD).float().unflatten(-1, heads)

        q_BNCQH = chunks(q_BMNH * F.softplus(self.per_dim_scale.float()), self.audio).permute(0, 3, 1, 2, 4)
        logits_BNCQS = q_BNCQH @ surroundings(k_BMNH, self.audio).permute(0, 3, 1, 4, 2)
        by_distance_BNMP = q_BNCQH.flatten(2, 3) @ distance_PNH.permute(1, 2, 0)
        logits_BNCQS = logits_BNCQS + shifted(by_distance_BNMP.unflatten(2, q_BNCQH.shape[2:4]), seen_BCQS.shape[-1])
        logits_BNCQS = ops.softcap(logits_BNCQS, self.audio.attention_logit_cap)
        # A number, not -inf: a token that is not valid may see none at all, and must not become NaN.
        logits_BNCQS = logits_BNCQS.masked_fill(~seen_BCQS[:, None], self.audio.attention_invalid_logits_value)
        y_BNCQH = logits_BNCQS.softmax(-1) @ surroundings(v_BMNH, self.audio).permute(0, 3, 1, 2, 4)
        y_BMD = y_BNCQH.permute(0, 2, 3, 1, 4).flatten(3).flatten(1, 2)[:, : x_BMD.shape[1]]
        return self.post(y_BMD.contiguous().to(x_BMD.dtype))


def chunks(x: Tensor, audio: AudioConfig) -> Tensor:
    """[B, M, ...] to [B, C, Q, ...]; the last chunk ends in zeros."""
    size = audio.attention_chunk_size
    return F.pad(x, (0, 0) * (x.ndim - 2) + (0, -x.shape[1] % size)).unflatten(1, (-1, size))


def surroundings(x: Tensor, audio: AudioConfig) -> Tensor:
    """[B, M, ...] to [B, C, S, ...]: each chunk with what stands around it; zeros (False) beyond both ends."""
    size, before, after = audio.attention_chunk_size, audio.attention_context_left - 1, audio.attention_context_right
    padded = F.pad(x, (0, 0) * (x.ndim - 2) + (before, after + size - 1))
    return padded.unfold(1, before + size + after, size).movedim(-1, 2).contiguous()


def shifted(x_BNCQP: Tensor, num_keys: int) -> Tensor:
    """Row q moved q places to the right: [B, N, C, Q, S]. What is beyond a row's P places is 0 or out of reach."""
    padded = F.pad(x_BNCQP, (0, num_keys + 1 - x_BNCQP.shape[-1]))
    num_rows = x_BNCQP.shape[-2]
    return padded.flatten(-2)[..., : num_rows * num_keys].unflatten(-1, (num_rows, num_keys))


def seen(valid_BM: Tensor, audio: AudioConfig) -> Tensor:
    """What each token of a chunk sees of the chunk's surroundings: [B, C, Q, S]."""
    valid_BCS = surroundings(valid_BM, audio)
    size, before = audio.attention_chunk_size, audio.attention_context_left - 1
    query_Q = torch.arange(size, device=valid_BM.device)[:, None] + before
    distance_QS = query_Q - torch.arange(valid_BCS.shape[-1], device=valid_BM.device)
    back, ahead = audio.reach
    return valid_BCS[:, :, None] & (distance_QS <= back) & (distance_QS >= -ahead)


def relative_positions(audio: AudioConfig, device: torch.device) -> Tensor:
    """Sines and cosines [P, D] of distances, float32, from the farthest to 0.

    Upstream's table starts at half of what a chunk is shown, which in the released configs is the farthest distance;
    with other sizes of chunks it is off by a constant, and what would be below 0 has no position.
    """
    num_keys = audio.attention_chunk_size + audio.attention_context_left - 1 + audio.attention_context_right
    position_P1 = torch.arange(num_keys // 2, -1, -1, device=device)[:, None]
    pairs = audio.hidden_size // 2
    step = math.log(10_000) / max(pairs - 1, 1)
    angles = position_P1 * torch.exp(torch.arange(pairs, device=device) * -step)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
