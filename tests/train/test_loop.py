"""The training loop: it learns, it resumes bit for bit, and it says no to what it cannot continue."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from gemsmith.config import preset
from gemsmith.data.packing import Batch, pack
from gemsmith.errors import TrainingError
from gemsmith.formats import TensorFile
from gemsmith.model.init import initialize
from gemsmith.model.text import TextModel
from gemsmith.train import state
from gemsmith.train.loop import TrainConfig, train
from gemsmith.train.loss import cross_entropy, exact_match, tensors

pytestmark = pytest.mark.slow  # trains

TEXT = replace(preset("tiny-random-e2b").text, vocab_size=32, vocab_size_per_layer_input=32)
CONFIG = TrainConfig(
    steps=12,
    learning_rates=((0, 0.001), (2, 3e-3), (8, 3e-3), (12, 0.0)),
    log_every=3,
    save_every=4,
    check_every=6,
    bf16=False,
    compile=False,
    workers=0,
)


def copies(step: int, seed: int = 0) -> Batch:
    """Rows of two-token prompts that must be copied: a function of the step alone."""
    rng = np.random.default_rng((seed, step))
    examples = [([1, *pair, 2, *pair, 3], [False] * 4 + [True] * 3) for pair in rng.integers(4, 32, (40, 2)).tolist()]
    return pack(examples, rows=4, length=24, max_targets=12)


def fresh(seed: int = 0) -> TextModel:
    model = TextModel(TEXT)
    initialize(model, seed)
    return model


def weights(folder: Path) -> dict[str, bytes]:
    return {name: bytes(view.buffer) for name, view in TensorFile(folder / state.FILE).items()}


class Killed(Exception):
    """Stands in for `kill -9`: nothing of the loop runs after it."""


def killed_at(step: int, at: int) -> Batch:
    if step == at:
        raise Killed
    return copies(step)


@pytest.mark.slow
@pytest.mark.parametrize("at", [4, 5, 7, 11])  # CONFIG saves after 4 and 8 steps
def test_resume_is_bit_for_bit(at: int, tmp_path: Path) -> None:
    train(fresh(), CONFIG, copies, tmp_path / "whole")
    with pytest.raises(Killed):
        train(fresh(), CONFIG, partial(killed_at, at=at), tmp_path / "halves")
    train(fresh(seed=99), CONFIG, copies, tmp_path / "halves")  # another start: everything must come from the state
    assert weights(tmp_path / "halves") == weights(tmp_path / "whole")


def test_every_step_is_deterministic_and_the_callers_setting_comes_back(tmp_path: Path) -> None:
    seen: list[bool] = []

    def batch(step: int) -> Batch:
        seen.append(torch.are_deterministic_algorithms_enabled())
        return copies(step)

    train(fresh(), CONFIG, batch, tmp_path)
    assert seen == [True] * CONFIG.steps
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.slow
def test_forgetting_the_moments_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(fresh(), CONFIG, copies, tmp_path / "whole")
    with pytest.raises(Killed):
        train(fresh(), CONFIG, partial(killed_at, at=5), tmp_path / "halves")
    zeroed = lambda tensors, name, updates: {  # noqa: E731
        "step": torch.tensor(float(updates)),
        **{moment: torch.zeros_like(tensors[f"{moment}.{name}"]) for moment in state.MOMENTS},
    }
    monkeypatch.setattr(state, "_moments", zeroed)
    train(fresh(), CONFIG, copies, tmp_path / "halves")
    assert weights(tmp_path / "halves") != weights(tmp_path / "whole")


@pytest.mark.slow
def test_prolonging_a_run_changes_nothing_before_the_fall(tmp_path: Path) -> None:
    train(fresh(), CONFIG, copies, tmp_path / "once")
    train(fresh(), replace(CONFIG, steps=8, learning_rates=CONFIG.learning_rates[:-1]), copies, tmp_path / "twice")
    train(fresh(), CONFIG, copies, tmp_path / "twice")
    assert weights(tmp_path / "once") == weights(tmp_path / "twice")


@pytest.mark.slow
def test_it_learns_and_logs_what_it_did(tmp_path: Path) -> None:
    records: list[dict[str, object]] = []
    config = replace(CONFIG, steps=150, check_every=150, learning_rates=((0, 1e-2), (150, 0.0)))
    train(fresh(), config, copies, tmp_path, {"copy": copies(0, seed=1)}, records.append)
    losses = [r["loss"] for r in records if "loss" in r]
    assert losses[-1] < losses[0] / 5
    assert records[-1]["held_out"]["copy"] > 0.3
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert logged == records


@pytest.mark.slow
def test_batches_made_ahead_in_another_process_are_the_same(tmp_path: Path) -> None:
    train(fresh(), CONFIG, copies, tmp_path / "inline")
    train(fresh(), replace(CONFIG, workers=1), copies, tmp_path / "ahead")
    assert weights(tmp_path / "ahead") == weights(tmp_path / "inline")


def test_state_of_another_model_is_refused(tmp_path: Path) -> None:
    train(fresh(), CONFIG, copies, tmp_path)
    other = TextModel(replace(TEXT, hidden_size=48))
    with pytest.raises(TrainingError, match=r"state of another model.*choose another folder"):
        train(other, CONFIG, copies, tmp_path)


def test_a_batch_that_leaves_the_numbers_is_skipped(tmp_path: Path) -> None:
    model = fresh()
    before = {name: p.clone() for name, p in model.named_parameters()}
    with torch.no_grad():
        model.norm.weight[0] = float("nan")
    train(model, replace(CONFIG, steps=2), copies, tmp_path)
    for name, p in model.named_parameters():
        assert name == "norm.weight" or torch.equal(p, before[name])


def test_loss_looks_at_targets_alone() -> None:
    model, batch = fresh(), copies(0)
    ids, positions, segments, wanted, targets = tensors(batch)
    with torch.no_grad():
        logits = model(ids, positions_BT=positions, segments_BT=segments)
        rows = torch.cat([row[w] for row, w in zip(logits, wanted, strict=True)])
        expected = torch.nn.functional.cross_entropy(rows, targets.flatten(), ignore_index=-100)
        torch.testing.assert_close(cross_entropy(model, *tensors(batch)), expected)


def test_exact_match_counts_examples_not_tokens() -> None:
    model, batch = fresh(), copies(0)
    right, total = exact_match(model, batch)
    assert total == int(batch.segments.max(1).sum()) and right == 0
    taught = replace(batch, targets=np.where(batch.targets == -100, -100, _likeliest(model, batch)))
    assert exact_match(model, taught) == (total, total)
    taught.targets[0, 0] = (taught.targets[0, 0] + 1) % 32
    assert exact_match(model, taught) == (total - 1, total)


@torch.no_grad()
def _likeliest(model: TextModel, batch: Batch) -> np.ndarray:
    ids, positions, segments, wanted, _ = tensors(batch)
    return model(ids, positions_BT=positions, segments_BT=segments, wanted_BR=wanted).argmax(-1).numpy()
