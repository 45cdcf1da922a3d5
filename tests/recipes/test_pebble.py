"""The recipe that made pebble: its batches, and the checkpoint it writes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import gemsmith
from gemsmith.config import preset
from gemsmith.model.init import initialize
from gemsmith.model.text import TextModel

pytestmark = pytest.mark.slow  # trains and loads

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recipe", ROOT / "recipes/pebble.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_batch_depends_on_its_step_alone(recipe: ModuleType) -> None:
    first, again, other = recipe.make_batch(5), recipe.make_batch(5), recipe.make_batch(6)
    assert np.array_equal(first.ids, again.ids) and not np.array_equal(first.ids, other.ids)
    assert first.ids.shape == (recipe.ROWS, recipe.LENGTH)
    assert (first.segments > 0).mean() > 0.75 and first.ids.max() < 4096


def test_late_batches_hold_long_conversations(recipe: ModuleType) -> None:
    batch = recipe.make_batch(recipe.LONG_FROM)
    assert batch.ids.shape == (recipe.LONG_ROWS, recipe.LONG_LENGTH)
    batches = map(recipe.make_batch, range(recipe.LONG_FROM, recipe.LONG_FROM + 4))
    assert max(batch.positions.max() for batch in batches) > 400


def test_held_out_batches_keep_every_example(recipe: ModuleType) -> None:
    for ability, batch in recipe.held_out(20).items():
        assert batch.segments.max(1).sum() >= 18, ability  # of 20, at most two longer than a row


def test_the_written_checkpoint_loads_and_is_the_model(recipe: ModuleType, tmp_path: Path) -> None:
    config = preset("pebble")
    model = TextModel(config.text)
    initialize(model, 0)
    recipe.export(config, model, tmp_path / "pebble")
    loaded = gemsmith.load(tmp_path / "pebble")
    assert sum(file.stat().st_size for file in (tmp_path / "pebble").iterdir()) < 15e6
    ids = loaded.render("What is 17 + 25?").ids
    with torch.no_grad():
        expected = model.to(torch.bfloat16).float()(torch.tensor([ids]))[0].numpy()
    np.testing.assert_allclose(loaded.logits(ids), expected, atol=1e-4)
