"""Our sight against `transformers`: same file, same pixels, same soft tokens, for every size and budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.model.oracle import reference_model
from tests.model.vision.sight import CELL, SIZES, Sight, our_sight, pictures, seen_by_reference, seen_by_us, tiny

pytest.importorskip("transformers")

GRIDS = {  # (columns, rows) of soft tokens: what the resize rule makes of odd and of usual pictures
    70: [(1, 1), (70, 1), (1, 70), (10, 7)],
    140: [(140, 1), (10, 14)],
    280: [(1, 280), (16, 16), (23, 12)],
    560: [(560, 1), (20, 28)],
    1120: [(1, 1120), (33, 33)],
}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("size", SIZES)
def test_soft_tokens_equal_the_reference(size: str, seed: int, tmp_path: Path) -> None:
    both = reference_model(tiny(size), seed, tmp_path), our_sight(tmp_path)
    for grid in GRIDS[70]:
        check(both, pictures(grid, seed=seed), 70)
    full = pictures((10, 7), seed=seed)  # nothing is padded there: the same sums, and 0 where this was written
    assert gap(seen_by_us(both[1], full), seen_by_reference(both[0], full, 70)) <= 5e-7
    check(both, pictures((3, 5), (10, 7), (1, 1), (12, 2), seed=seed), 70)  # one padded batch there, four calls here
    check(both, pictures(*[(3, 2)] * 32, seed=seed), 70)  # the frames of a clip: one call


def test_sizes_that_share_a_tower() -> None:
    """Hence three kinds of sight in all: clipped, towerless, standardised."""
    assert tiny("e4b").vision == tiny("e2b").vision
    assert tiny("26b-a4b").vision == tiny("31b").vision


@pytest.mark.long
@pytest.mark.parametrize("budget", [140, 280, 560, 1120])
@pytest.mark.parametrize("size", ["e2b", "12b", "31b"])
def test_every_budget(size: str, budget: int, tmp_path: Path) -> None:
    both = reference_model(tiny(size), 3, tmp_path), our_sight(tmp_path)
    for grid in GRIDS[budget]:
        check(both, pictures(grid, seed=budget), budget)


def check(both: tuple[Any, Sight], images: list[Tensor], budget: int) -> None:
    """Every soft token within 5e-5, or twice what the reference's two kinds of attention differ by."""
    theirs, ours = both
    expected, found = seen_by_reference(theirs, images, budget), seen_by_us(ours, images)
    assert [x.shape for x in found] == [x.shape for x in expected]
    assert [len(x) for x in found] == [image.shape[0] // CELL * (image.shape[1] // CELL) for image in images]
    assert torch.cat(expected).std() >= 0.3, "soft tokens that hardly differ would prove nothing"
    if (distance := gap(found, expected)) > 5e-5:
        assert distance <= 2 * gap(seen_by_reference(theirs, images, budget, "eager"), expected)


def gap(a: list[Tensor], b: list[Tensor]) -> float:
    return max(float((x - y).abs().max()) for x, y in zip(a, b, strict=True))
