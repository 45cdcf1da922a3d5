"""Soft tokens on their way into the text stream: rows that a sense has made, and where they go.

B batch   T query tokens   S readable tokens   M soft tokens   D hidden
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class SoftRows:
    """Rows [M, D] that take the places where `is_soft_BT` is True, in order, sequence after sequence.

    `block_BT` numbers the pictures (and frames) that a row belongs to, -1 for none: sizes with
    `use_bidirectional_attention` let the rows of one block see each other, both ways, on sliding layers. A block is
    never split over two forward passes.
    """

    rows_MD: Tensor
    is_soft_BT: Tensor
    block_BT: Tensor


def merged(x_BTD: Tensor, soft: SoftRows) -> Tensor:
    """The embeddings with soft tokens in their places. Those are not scaled by sqrt(D): their projection learnt it."""
    num_places, num_rows = int(soft.is_soft_BT.sum()), len(soft.rows_MD)
    assert num_places == num_rows, f"{num_rows} soft tokens for {num_places} places"
    return x_BTD.masked_scatter(soft.is_soft_BT[..., None], soft.rows_MD.to(x_BTD.dtype))


def same_block(block_BT: Tensor, num_keys: int) -> Tensor:
    """Which of the S keys stand in the row's own block: [B, T, S]. Keys older than these T rows stand in none."""
    same_BTT = (block_BT[:, :, None] == block_BT[:, None, :]) & (block_BT[:, :, None] >= 0)
    return F.pad(same_BTT, (num_keys - block_BT.shape[1], 0))
