"""The two operations of a picture's grid, each against the slow words that say what it is."""

from __future__ import annotations

import torch

from gemsmith import ops


def test_rope_2d_turns_each_half_as_rope_turns_a_head() -> None:
    places_BT2, x_BTNH = torch.randint(0, 50, (2, 7, 2)), torch.randn(2, 7, 3, 16)
    turned = ops.rope_2d(x_BTNH, ops.rope_table(places_BT2, 8, 100.0, 4))
    halves = [
        ops.rope(half, ops.rope_table(places_BT2[..., axis], 8, 100.0, 4))
        for axis, half in enumerate(x_BTNH.chunk(2, dim=-1))
    ]
    torch.testing.assert_close(turned, torch.cat(halves, dim=-1))
    torch.testing.assert_close(turned.norm(dim=-1), x_BTNH.norm(dim=-1))


def test_rope_2d_knows_distances_alone() -> None:
    """Moving both patches by the same columns and rows leaves their product as it was."""
    q, k = torch.randn(2, 1, 1, 1, 16)
    here, there = torch.tensor([[[3, 8]]]), torch.tensor([[[11, 2]]])

    def product(shift: torch.Tensor) -> torch.Tensor:
        turned = [ops.rope_2d(x, ops.rope_table(p + shift, 8, 100.0, 4)) for x, p in ((q, here), (k, there))]
        return (turned[0] * turned[1]).sum()

    torch.testing.assert_close(product(torch.tensor([20, 5])), product(torch.tensor([0, 0])), atol=1e-5, rtol=1e-5)
    assert abs(product(torch.tensor([0, 0])) - (q * k).sum()) > 1e-3


def test_pool_2d_is_the_mean_of_each_square() -> None:
    x_BYXD = torch.randn(2, 6, 9, 5)
    squares = [x_BYXD[:, y : y + 3, x : x + 3].mean((1, 2)) for y in (0, 3) for x in (0, 3, 6)]
    torch.testing.assert_close(ops.pool_2d(x_BYXD, 3), torch.stack(squares, dim=1))
    assert ops.pool_2d(x_BYXD.to(torch.bfloat16), 3).dtype == torch.float32


def test_attention_without_a_mask_sees_all() -> None:
    q, k, v = torch.randn(3, 2, 5, 4, 8)
    everything = torch.ones(2, 5, 5, dtype=torch.bool)
    torch.testing.assert_close(ops.attention(q, k, v, None, 1.0), ops.attention(q, k, v, everything, 1.0))
