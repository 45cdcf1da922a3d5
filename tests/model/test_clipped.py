"""A clipped linear clamps before and after its matrix; the projection needs no more than its one matrix."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from gemsmith.model.clipped import ClippedLinear
from gemsmith.model.projection import MediaProjection


def test_input_and_output_are_clamped() -> None:
    linear, x = ClippedLinear(8, 16, clipped=True), 3 * torch.randn(5, 8)
    torch.testing.assert_close(linear(x), F.linear(x, linear.linear.weight), msg="no bounds yet")
    for name, value in {"input_min": -1.0, "input_max": 0.5, "output_min": -0.2, "output_max": 0.25}.items():
        getattr(linear, name).fill_(value)
    inside = torch.stack([row.clip(-1.0, 0.5) for row in x])
    y = linear(x)
    torch.testing.assert_close(y, F.linear(inside, linear.linear.weight).clip(-0.2, 0.25))
    assert y.min() == -0.2 and y.max() == 0.25


def test_a_linear_without_bounds_holds_its_matrix_alone() -> None:
    linear, x = ClippedLinear(8, 16, clipped=False), torch.randn(5, 8)
    assert list(linear.state_dict()) == ["linear.weight"]
    torch.testing.assert_close(linear(x), F.linear(x, linear.linear.weight))


def test_bounds_are_saved_and_not_trained() -> None:
    linear = ClippedLinear(8, 16, clipped=True)
    assert sorted(linear.state_dict()) == ["input_max", "input_min", "linear.weight", "output_max", "output_min"]
    assert [name for name, _ in linear.named_parameters()] == ["linear.weight"]
    assert all(bound.shape == () for bound in linear.buffers())


def test_a_projection_forgets_the_length_of_what_it_reads() -> None:
    projection, x = MediaProjection(8, 4, eps=1e-6), torch.randn(2, 3, 8)
    assert list(projection.state_dict()) == ["embedding_projection.weight"]
    torch.testing.assert_close(projection(x), projection(100 * x), atol=1e-5, rtol=1e-5)
    rms = x.pow(2).mean(-1, keepdim=True).sqrt()
    torch.testing.assert_close(projection(x), F.linear(x / rms, projection.embedding_projection.weight))
    assert projection.to(torch.bfloat16)(x).dtype == torch.bfloat16
