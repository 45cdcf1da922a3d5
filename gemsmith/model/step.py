"""What varies from one forward pass to the next: where each row stands, how it is turned, what it may see.

B batch   T query tokens   S readable tokens   R wanted rows
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gemsmith import ops
from gemsmith.cache.dense import DenseCache
from gemsmith.config import TextConfig
from gemsmith.model.soft import SoftRows, same_block


@dataclass(frozen=True)
class Step:
    """Rotations and masks of the rows at hand, for sliding layers (key True) and full ones (key False)."""

    rope: dict[bool, tuple[Tensor, Tensor]]  # cosines and sines, [B, T, H/2]
    mask: dict[bool, Tensor]  # [B, T, S], True where the row may look

    def rows(self, wanted_BR: Tensor) -> Step:
        """The same step for some rows of each sequence alone."""
        return Step(
            rope={kind: (take_rows(c, wanted_BR), take_rows(s, wanted_BR)) for kind, (c, s) in self.rope.items()},
            mask={kind: take_rows(mask, wanted_BR) for kind, mask in self.mask.items()},
        )


def make_step(
    text: TextConfig,
    ids_BT: Tensor,
    cache: DenseCache | None,
    positions_BT: Tensor | None,
    segments_BT: Tensor | None,
    soft: SoftRows | None = None,
) -> Step:
    """Positions count from what the cache holds unless given; rows of different segments do not see each other.

    Where the config says so, soft tokens of one picture see each other both ways on sliding layers: the window limits
    how far back they see, not how far ahead. On full layers they never do (`transformers` agrees when it generates; its
    plain forward pass of 12B still keeps Gemma 3's rule, both ways on full layers too).
    """
    B, T = ids_BT.shape
    start = cache.length if cache is not None else 0
    if positions_BT is None:
        positions_BT = torch.arange(start, start + T, device=ids_BT.device).expand(B, T)
    rope, mask = {}, {}
    for layer in text.layers:
        kind = layer.is_sliding
        if kind in rope:
            continue
        rope[kind] = ops.rope_table(positions_BT, layer.head_dim, layer.rope_theta, layer.num_rotated_pairs)
        key_positions_BS = positions_BT if cache is None else cache.key_positions(kind, T, ids_BT.device).expand(B, -1)
        ahead_BTS = None
        if soft is not None and kind and text.use_bidirectional_attention == "vision":
            ahead_BTS = same_block(soft.block_BT, key_positions_BS.shape[1])
        mask[kind] = _visible(positions_BT, key_positions_BS, text.sliding_window if kind else None, ahead_BTS)
        if segments_BT is not None:
            mask[kind] = mask[kind] & (segments_BT[:, :, None] == segments_BT[:, None, :])
    return Step(rope, mask)


def _visible(query_BT: Tensor, key_BS: Tensor, window: int | None, ahead_BTS: Tensor | None) -> Tensor:
    distance_BTS = query_BT[:, :, None] - key_BS[:, None, :]
    seen_BTS = distance_BTS >= 0
    if ahead_BTS is not None:
        seen_BTS = seen_BTS | ahead_BTS
    return seen_BTS if window is None else seen_BTS & (distance_BTS < window)  # the window counts the row itself


def take_rows(x: Tensor, wanted_BR: Tensor) -> Tensor:
    """Rows `wanted_BR` of dimension 1 of x [B, T, ...]."""
    index = wanted_BR.reshape(*wanted_BR.shape, *(1 for _ in x.shape[2:]))
    return x.gather(1, index.expand(-1, -1, *x.shape[2:]))
