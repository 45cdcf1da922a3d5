"""The tensor functions Gemma 4 is written in: plain torch, float32 where it matters.

Each function here *is* the definition of its operation: the fallback where no kernel serves, and the oracle for those
that do. Nothing here knows a model, a layer or a cache.

    B batch   T query tokens   S cached tokens   D hidden   N query heads   K key/value heads   G = N/K   H head dim
    F mlp width   E experts   A active experts   Y rows, X columns of a picture's patches

Sources: Gemma 4 Technical Report (arXiv 2607.02770) §2; upstream `transformers` models/gemma4/modeling_gemma4.py.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def rms_norm(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    """x / rms(x) over the last dimension, times `weight` as it is (no 1 + w, unlike Gemma 1-3); in float32."""
    y = x.float()
    y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + eps)
    if weight is not None:
        y = y * weight.float()
    return y.to(x.dtype)


def rope_table(positions_BT: Tensor, head_dim: int, theta: float, num_rotated_pairs: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [B, T, H/2], float32, of the angle that each pair of dimensions turns at each position.

    Frequencies are theta^(-2i/H) for the first `num_rotated_pairs` pairs and 0 for the others, which so carry no
    position (p-RoPE). The exponent's denominator is the whole head, not its rotated part.
    """
    pairs = torch.arange(head_dim // 2, dtype=torch.float32, device=positions_BT.device)
    # divided, not raised to a negative power: positions in the thousands multiply the last bit's difference
    frequencies = torch.where(pairs < num_rotated_pairs, 1.0 / theta ** (2.0 * pairs / head_dim), 0.0)
    angles = positions_BT[..., None].float() * frequencies
    return angles.cos(), angles.sin()


def rope(x_BTNH: Tensor, cos_sin: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair (i, i + H/2) of every head by its position's angle (the half-split, "NeoX", pairing)."""
    cos, sin = (t[:, :, None].to(x_BTNH.dtype) for t in cos_sin)
    first, second = x_BTNH.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def rope_2d(x_BTNH: Tensor, cos_sin: tuple[Tensor, Tensor]) -> Tensor:
    """Turn the first half of every head by its patch's column and the second half by its row.

    The angles are those of `rope_table` for positions [B, T, 2] and half a head: cosines and sines [B, T, 2, H/4]. Each
    half pairs (i, i + H/4), as `rope` does in a whole head.
    """
    cos, sin = (t[:, :, None].to(x_BTNH.dtype) for t in cos_sin)
    first, second = x_BTNH.unflatten(-1, (2, 2, -1)).unbind(-2)
    return torch.stack([first * cos - second * sin, second * cos + first * sin], dim=-2).flatten(-3)


def pool_2d(x_BYXD: Tensor, side: int) -> Tensor:
    """Means over squares of `side` x `side` patches, row after row of squares: [B, Y/side · X/side, D], in float32.

    As one product with a matrix of 1/side² and 0, upstream's sum to the last bit; its cost is nothing beside a layer's.
    """
    Y, X = x_BYXD.shape[1:3]
    row_Y1 = torch.arange(Y, device=x_BYXD.device)[:, None] // side
    square_YX = row_Y1 * (X // side) + torch.arange(X, device=x_BYXD.device) // side
    share_TM = F.one_hot(square_YX.flatten(), Y * X // side**2).float() / side**2
    return share_TM.T @ x_BYXD.float().flatten(1, 2)


def attention(q_BTNH: Tensor, k_BSKH: Tensor, v_BSKH: Tensor, mask_BTS: Tensor | None, scale: float) -> Tensor:
    """Grouped-query attention: each of the K key heads serves G = N / K query heads. Returns [B, T, N, H].

    Without a mask every query sees every key.
    """
    q_BTKGH = q_BTNH.unflatten(2, (k_BSKH.shape[2], -1))
    logits_BKGTS = torch.einsum("btkgh,bskh->bkgts", q_BTKGH, k_BSKH).float() * scale
    if mask_BTS is not None:
        logits_BKGTS = logits_BKGTS.masked_fill(~mask_BTS[:, None, None], float("-inf"))
    probs_BKGTS = logits_BKGTS.softmax(-1).to(v_BSKH.dtype)
    return torch.einsum("bkgts,bskh->btkgh", probs_BKGTS, v_BSKH).flatten(2, 3)


def gelu_gate(gate: Tensor, up: Tensor) -> Tensor:
    """gelu(gate) * up, with the tanh approximation: the non-linearity of every MLP and per-layer gate."""
    return F.gelu(gate, approximate="tanh") * up


def softcap(logits: Tensor, cap: float) -> Tensor:
    """cap * tanh(logits / cap): monotone, so it changes probabilities but never the likeliest token."""
    return torch.tanh(logits / cap) * cap


def route(scores_ME: Tensor, num_active: int) -> tuple[Tensor, Tensor]:
    """For each of M tokens the A likeliest experts: weights that sum to one, and indices, both [M, A]."""
    probs_ME = scores_ME.float().softmax(-1)
    weights_MA, index_MA = probs_ME.topk(num_active, dim=-1)
    return weights_MA / weights_MA.sum(-1, keepdim=True), index_MA


def experts(x_MD: Tensor, weights_MA: Tensor, index_MA: Tensor, gate_up_EFD: Tensor, down_EDF: Tensor) -> Tensor:
    """Sum over each token's active experts of weight * down(gelu(gate(x)) * up(x)); the first F rows are the gate."""
    out_MD = torch.zeros_like(x_MD)
    for e in index_MA.unique().tolist():
        rows, slots = (index_MA == e).nonzero(as_tuple=True)
        gate, up = F.linear(x_MD[rows], gate_up_EFD[e]).chunk(2, dim=-1)
        y = F.linear(gelu_gate(gate, up), down_EDF[e])
        out_MD = out_MD.index_add(0, rows, y * weights_MA[rows, slots, None].to(y.dtype))
    return out_MD
