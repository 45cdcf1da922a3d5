"""Whole models that see and hear against `transformers`: same folder, same media, same logits, for every size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gemsmith.config import ModelConfig, preset
from gemsmith.media.prepared import Prepared
from tests.model.whole import Case, case, frames, our_logits, ours, pixels, save_random, their_logits, theirs, waveform

pytest.importorskip("transformers")

SIZES = ("e2b", "e4b", "12b", "26b-a4b", "31b")
BUDGETS = {70: (7, 10), 140: (10, 14), 280: (14, 20), 560: (20, 28), 1120: (28, 40)}  # -> rows and columns of tokens
LIMIT = 5e-5


def parts_of(config: ModelConfig) -> dict[str, Sequence[int | Prepared]]:
    """Prompts by what is in them. The windows are of 8 tokens, so that pictures are longer, and prompts far longer."""
    found: dict[str, Sequence[int | Prepared]] = {
        "a picture": [5, pixels(144, 192), 6],
        "several": [3, pixels(96, 144, 1), pixels(48, 48, 2), 4, pixels(192, 96, 3)],
        "a clip": [3, frames(5, 48, 96), 4],
        "all seen": [pixels(48, 240), 2, frames(3, 96, 48, 1), pixels(96, 96, 4), 9, frames(2, 48, 48, 2), 1],
    }
    if config.audio is not None:
        found["a sound"] = [4, waveform(16_000), 3]
        found["all"] = [waveform(7_000, 1), 3, pixels(96, 96), 3, frames(4, 48, 96), 1, waveform(4_001), pixels(48, 96)]
    return found


def check(ours_: object, theirs_: object, each: Case) -> None:
    """Within 5e-5, or twice as far as the reference is from itself: with its other kernel, with media one by one, or
    both (often ours to the bit)."""
    expected = their_logits(theirs_, each)
    others = [their_logits(theirs_, each, kernel, alone) for kernel in ("eager", "sdpa") for alone in (False, True)]
    assert expected.std() > 0.5, "logits that hardly differ would prove nothing"
    gap = np.abs(our_logits(ours_, each) - expected).max()  # type: ignore[arg-type]
    spread = max(np.abs(expected - other).max() for other in others)
    assert gap <= max(LIMIT, 2 * spread), (gap, spread)


@pytest.mark.parametrize(
    "seed", [pytest.param(0, marks=pytest.mark.slow), *(pytest.param(i, marks=pytest.mark.long) for i in (1, 2))]
)
@pytest.mark.parametrize("size", SIZES)
def test_logits_equal_the_reference(size: str, seed: int, tmp_path: Path) -> None:
    config = preset(f"tiny-random-{size}")
    save_random(config, seed, tmp_path / "model", sharpness=0.2)
    ours_, theirs_ = ours(tmp_path / "model"), theirs(tmp_path / "model")
    for number, parts in enumerate(parts_of(config).values()):
        check(ours_, theirs_, case(config, parts, seed + number))


@pytest.mark.long
@pytest.mark.parametrize("seed", [10, 11, 12])
@pytest.mark.parametrize("size", SIZES)
def test_logits_equal_the_reference_where_rounding_grows(size: str, seed: int, tmp_path: Path) -> None:
    """With sharpness 1: nothing is softened, and the reference's own spread grows along."""
    config = preset(f"tiny-random-{size}")
    save_random(config, seed, tmp_path / "model")
    ours_, theirs_ = ours(tmp_path / "model"), theirs(tmp_path / "model")
    for number, parts in enumerate(parts_of(config).values()):
        check(ours_, theirs_, case(config, parts, seed + number))


@pytest.mark.slow
@pytest.mark.parametrize("size", ["e2b", "12b"])
def test_a_sound_alone_is_as_exact_where_rounding_grows(size: str, tmp_path: Path) -> None:
    """With sharpness 1, where soft tokens 1e-6 off would put logits 1e-4 off."""
    config = preset(f"tiny-random-{size}")
    save_random(config, 0, tmp_path / "model")
    each = case(config, [4, waveform(16_000), 3])
    gap = np.abs(our_logits(ours(tmp_path / "model"), each) - their_logits(theirs(tmp_path / "model"), each, "sdpa"))
    assert gap.max() <= 1e-5  # 0 where this was written


@pytest.mark.long
@pytest.mark.parametrize("size", SIZES)
def test_every_budget_and_32_frames(size: str, tmp_path: Path) -> None:
    """With the window of 1,120 tokens' worth cut short, and of a length that holds some pictures and not others."""
    config = preset(f"tiny-random-{size}")
    config = replace(config, text=replace(config.text, sliding_window=300))
    save_random(config, 0, tmp_path / "model", sharpness=0.2)
    ours_, theirs_ = ours(tmp_path / "model"), theirs(tmp_path / "model")
    for rows, columns in BUDGETS.values():
        check(ours_, theirs_, case(config, [7, pixels(48 * rows, 48 * columns), 5]))
    check(ours_, theirs_, case(config, [7, frames(32, 96, 144), 5]))
    if config.audio is not None:
        check(ours_, theirs_, case(config, [7, waveform(480_000), 5]))
