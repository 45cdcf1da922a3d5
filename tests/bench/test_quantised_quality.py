"""What fewer bits cost is measured as it says, and `--check` finds what costs too much."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from gemsmith.kernels import available

PATH = Path(__file__).parents[2] / "bench" / "quantised_quality.py"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    if not available():
        pytest.skip("the native code is not built; install gemsmith where there is a C++ compiler")
    spec = importlib.util.spec_from_file_location("bench_quantised_quality", PATH)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_quantised_quality", module)
    spec.loader.exec_module(module)
    return module


def outcomes(bench: ModuleType, *, kl: float = 0.004, lost: int = 0) -> object:
    """Two abilities of 100 examples with ten tokens each; `lost` of the second are wrong in the only variant."""
    correct = np.ones((1, 200), bool)
    correct[0, 200 - lost :] = False
    return bench.Outcomes(
        ability=np.repeat(["add", "sort"], 100),
        tokens=np.full(200, 10),
        entropy=np.full(200, 0.5),
        kl=np.full((1, 200), 10 * kl) * np.repeat([0.5, 1.5], 100),
        same=np.full((1, 200), 9),
        correct=correct,
        correct_in_floats=np.ones(200, bool),
    )


@pytest.mark.slow
def test_figures(bench: ModuleType) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (2, 5, 40))
    floats, other = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    by_hand = sum(np.exp(p) * (p - q) for p, q in zip(floats.flat, other.flat, strict=True))
    assert bench.divergence(floats, other) == pytest.approx(by_hand) and by_hand > 1
    assert bench.divergence(floats, floats) == 0

    parts = bench.by_ability(outcomes(bench, lost=5), 0)
    assert list(parts) == ["mean", "add", "sort"]
    mean = parts["mean"]
    assert (mean.num_examples, mean.num_tokens, mean.same) == (200, 2000, 0.9)
    assert mean.entropy == pytest.approx(0.05)
    assert mean.kl == pytest.approx(0.004) and parts["sort"].kl == pytest.approx(0.006)
    assert mean.kl_error == pytest.approx(0.002 / np.sqrt(199)) and parts["sort"].kl_error == pytest.approx(0)
    assert (mean.score_in_floats, mean.score, mean.points) == (100, 97.5, -2.5) and parts["sort"].points == -5
    assert mean.points_error == pytest.approx(100 * np.sqrt(0.025 * 0.975 / 199))


@pytest.mark.slow
@pytest.mark.parametrize(
    "change, told, status",
    [
        ({}, [], 0),
        ({"kl": 0.008}, ["KL of sort alone is 0.0120 nats, at most 0.01"], 0),
        ({"kl": 0.011}, ["KL of the mean is 0.0110 nats", "KL of sort alone"], 1),
        ({"lost": 2}, ["the score of sort alone is -2.0 points away, at most 1"], 0),
        ({"lost": 3}, ["the score of the mean is -1.5 points away", "of sort alone is -3.0"], 1),
    ],
)
def test_check(
    bench: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, float],
    told: list[str],
    status: int,
) -> None:
    monkeypatch.setattr(bench, "packed", lambda *_: {"exact": 2_000_000, "q8": 1_000_000})
    monkeypatch.setattr(bench, "measured", lambda *_: outcomes(bench, **change))
    assert bench.main(["--to", "q8", "--kv", "bf16", "--check"]) == status
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(told) and all(words in line for words, line in zip(told, lines, strict=True))


@pytest.mark.slow
def test_a_model_beside_itself_costs_nothing(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--to", "exact", "q4", "--kv", "f32", "--n", "2", "--json"]) == 0
    same, q4 = json.loads(capsys.readouterr().out)["variants"]
    itself, other = same["costs"]["mean"], q4["costs"]["mean"]
    assert (itself["kl"], itself["same"], itself["points"], itself["num_examples"]) == (0, 1, 0, 20)
    assert 0 < other["kl"] < 0.5 and 0.8 < other["same"] <= 1 and len(q4["costs"]) == 11


@pytest.mark.long
def test_pebble_keeps_its_promise(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """2,000 held-out examples: q8 within 0.01 nats and 1 point, q4 within 0.05 and 2."""
    status = bench.main(["--to", "q8", "q4", "--kv", "bf16", "--check"])
    captured = capsys.readouterr()
    assert status == 0, captured.err
    assert "2,000 held-out examples" in captured.out
