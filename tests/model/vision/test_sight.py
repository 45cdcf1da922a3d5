"""What must hold of sight whatever the reference says: names, differences, gradients, limits."""

from __future__ import annotations

import pytest
import torch

from gemsmith import ops
from gemsmith.config import ModelConfig, preset
from gemsmith.config.tensors import media_tensors
from gemsmith.errors import MediaError
from gemsmith.model.init import initialize
from tests.model.vision.sight import CELL, SIZES, Sight

KINDS = ("e2b", "12b", "31b")  # clipped, towerless, standardised


def sight_of(config: ModelConfig) -> Sight:
    """Random weights, and bounds and statistics that matter."""
    sight = Sight(config)
    initialize(sight, seed=0, norm_spread=0.2)
    for name, buffer in sight.named_buffers():
        buffer.fill_(-1.5 if name.endswith("_min") else 1.5)
    return sight


@pytest.mark.parametrize("size", [*SIZES, *(f"tiny-random-{size}" for size in SIZES)])
def test_the_state_is_the_table_of_the_released_file(size: str) -> None:
    config = preset(size)
    with torch.device("meta"):
        state = Sight(config).state_dict()
    table = {n: s for n, s in media_tensors(config).items() if n.startswith(("model.vision_", "model.embed_vision."))}
    assert {f"model.{name}": tuple(tensor.shape) for name, tensor in state.items()} == table


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_pictures_differ_and_the_same_are_the_same(kind: str) -> None:
    sight = sight_of(preset(f"tiny-random-{kind}"))
    one, other = torch.rand(2, 2 * CELL, 3 * CELL, 3)
    with torch.no_grad():
        soft, again, alone = sight(torch.stack([one, other])), sight(torch.stack([one, other])), sight(other[None])[0]
        turned = sight(torch.stack([one.flip(1), one.flip(0)]))
    assert torch.equal(soft, again)
    assert (soft[0] - soft[1]).abs().max() > 0.1
    torch.testing.assert_close(soft[1], alone, atol=5e-5, rtol=1e-5)
    assert (turned[0] - turned[1]).abs().max() > 0.1, "columns and rows are told apart"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_one_pixel_reaches_every_token_of_a_tower_and_one_without(kind: str) -> None:
    """Patches of a tower see each other; 12B's squares meet in the text decoder alone."""
    sight = sight_of(preset(f"tiny-random-{kind}"))
    black = torch.zeros(1, 2 * CELL, 2 * CELL, 3)
    dotted = black.clone()
    dotted[0, -1, -1] = 1.0
    with torch.no_grad():
        moved = (sight(dotted) - sight(black)).abs().amax((0, 2)) > 1e-6
    assert moved.tolist() == ([False] * 3 + [True] if kind == "12b" else [True] * 4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_every_weight_and_no_bound(kind: str) -> None:
    sight = sight_of(preset(f"tiny-random-{kind}"))
    sight(torch.rand(1, 2 * CELL, 3 * CELL, 3)).square().mean().backward()
    for name, parameter in sight.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
    assert not any(buffer.requires_grad for buffer in sight.buffers())


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_is_near_float32(kind: str) -> None:
    sight, rgb = sight_of(preset(f"tiny-random-{kind}")), torch.rand(1, 2 * CELL, 3 * CELL, 3)
    with torch.no_grad():
        exact = sight(rgb)
        rounded = sight.to(torch.bfloat16)(rgb)
    assert rounded.dtype == torch.bfloat16
    assert (rounded.float() - exact).pow(2).mean().sqrt() < 0.1 * exact.std()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_kernels_off_gives_the_same(kind: str) -> None:
    sight, rgb = sight_of(preset(f"tiny-random-{kind}")), torch.rand(2, CELL, 2 * CELL, 3)
    with torch.no_grad():
        fused = sight(rgb)
        with ops.without("sdpa"):
            torch.testing.assert_close(sight(rgb), fused, atol=5e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_longer_than_the_positions_is_refused(kind: str) -> None:
    """The tables of the tiny models end at 280 squares, that of a released 12B at 1120."""
    with torch.device("meta"):
        sight = Sight(preset(f"tiny-random-{kind}"))
        with pytest.raises(MediaError, match=r"13488x48 pixels .* positions for (840|280)") as refused:
            sight(torch.empty(1, CELL, 281 * CELL, 3))
    assert refused.value.code == "media_too_large"
