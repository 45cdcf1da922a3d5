"""`attention` through torch's own fused kernel: the same signature as `ops.reference.attention`, less memory moved.

Does not serve a single query row or an empty key set; see `supports`, and the table in `ops`.

    B batch   T query tokens   S cached tokens   N query heads   K key/value heads   H head dim
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def attention(q_BTNH: Tensor, k_BSKH: Tensor, v_BSKH: Tensor, mask_BTS: Tensor | None, scale: float) -> Tensor:
    """Grouped-query attention; never writes the T x S matrix of one head to memory whole. Returns [B, T, N, H]."""
    y_BNTH = F.scaled_dot_product_attention(
        q_BTNH.transpose(1, 2),
        k_BSKH.transpose(1, 2),
        v_BSKH.transpose(1, 2),
        attn_mask=None if mask_BTS is None else mask_BTS[:, None],
        scale=scale,
        enable_gqa=q_BTNH.shape[2] != k_BSKH.shape[2],  # with it, some fused kernels on GPUs say no
    )
    return y_BNTH.transpose(1, 2)


def supports(q_BTNH: Tensor, k_BSKH: Tensor, v_BSKH: Tensor, mask_BTS: Tensor | None, scale: float) -> bool:
    """More than one query row (a single one is bound by reading K and V, which the reference does as well)."""
    return q_BTNH.shape[1] > 1 and k_BSKH.shape[1] > 0
