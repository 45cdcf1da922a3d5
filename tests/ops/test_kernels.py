"""Every kernel agrees with its reference: one test walks the table, so a new kernel is covered once it is listed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from gemsmith import ops
from gemsmith.ops.dispatch import Op

OPS = {name: op for name in ops.__all__ if isinstance(op := getattr(ops, name), Op)}


def attention_case(T: int, S: int, N: int, K: int, H: int) -> tuple[Any, ...]:
    q, k, v = torch.randn(2, T, N, H), torch.randn(2, S, K, H), torch.randn(2, S, K, H)
    mask = torch.arange(S)[None, None] <= torch.arange(S - T, S)[None, :, None]
    return q, k, v, mask.expand(2, T, S), 1.0


CASES: dict[str, list[Callable[[], tuple[Any, ...]]]] = {
    "attention": [
        lambda: attention_case(1, 9, 4, 1, 16),
        lambda: attention_case(7, 7, 4, 4, 32),
        lambda: attention_case(5, 40, 8, 2, 64),
        lambda: (*(torch.randn(2, 9, 4, 16) for _ in "qkv"), None, 1.0),
    ],
}


def test_every_op_with_kernels_has_cases() -> None:
    assert {name for name, op in OPS.items() if op.kernels} == set(CASES)


@pytest.mark.parametrize(("name", "case"), [(n, i) for n, cases in CASES.items() for i in range(len(cases))])
def test_kernels_agree_with_their_reference(name: str, case: int) -> None:
    args = CASES[name][case]()
    for kernel in OPS[name].kernels:
        if kernel.supports(*args):
            torch.testing.assert_close(kernel.fn(*args), OPS[name].reference(*args), atol=1e-5, rtol=1e-5)


def test_without_switches_a_kernel_off_and_on_again(monkeypatch: pytest.MonkeyPatch) -> None:
    args = attention_case(7, 7, 4, 4, 32)
    monkeypatch.setattr(ops.attention.kernels[0], "_fn", lambda *_: "kernel")
    monkeypatch.setattr(ops.attention.kernels[0], "_supports", lambda *_: True)
    assert ops.attention(*args) == "kernel"
    with ops.without("sdpa"):
        assert isinstance(ops.attention(*args), torch.Tensor)
    assert ops.attention(*args) == "kernel"


def test_proportional_rope_turns_the_first_pairs_alone() -> None:
    """p-RoPE: a quarter of the pairs turn, with the whole head in the exponent; the others stay as they are."""
    cos, sin = ops.rope_table(torch.tensor([[3]]), 512, 1e6, 64)
    assert cos.shape == (1, 1, 256)
    torch.testing.assert_close(cos[0, 0, 1].item(), float(torch.cos(torch.tensor(3 * 1e6 ** (-2 / 512)))))
    assert (cos[0, 0, 64:] == 1).all() and (sin[0, 0, 64:] == 0).all() and (sin[0, 0, :64] != 0).all()


def test_rms_norm_multiplies_by_the_weight_as_it_is() -> None:
    x, weight = torch.tensor([3.0, 4.0]), torch.tensor([1.0, 0.5])
    rms = (12.5 + 1e-6) ** 0.5
    torch.testing.assert_close(ops.rms_norm(x, weight, 1e-6), torch.tensor([3 / rms, 2 / rms]))
    torch.testing.assert_close(ops.rms_norm(x, None, 1e-6), torch.tensor([3 / rms, 4 / rms]))


def test_experts_equal_a_loop_over_tokens() -> None:
    x, gate_up, down = torch.randn(5, 8), torch.randn(4, 12, 8), torch.randn(4, 8, 6)
    weights, index = ops.route(torch.randn(5, 4), 2)
    torch.testing.assert_close(weights.sum(-1), torch.ones(5))
    expected = torch.stack(
        [
            sum(
                w * down[e] @ (torch.nn.functional.gelu(gate_up[e, :6] @ t, approximate="tanh") * (gate_up[e, 6:] @ t))
                for w, e in zip(ws, es, strict=True)
            )
            for t, ws, es in zip(x, weights, index, strict=True)
        ]
    )
    torch.testing.assert_close(ops.experts(x, weights, index, gate_up, down), expected, atol=1e-4, rtol=1e-4)
