"""Our text model against `transformers`: same file, same ids, same logits, for every feature of every size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gemsmith import ops
from gemsmith.cache.dense import DenseCache
from gemsmith.config import ModelConfig, preset
from tests.model.oracle import our_model, reference_logits, reference_logits_in_chunks, reference_model

pytest.importorskip("transformers")

pytestmark = pytest.mark.slow

SIZES = ("e2b", "e4b", "12b", "26b-a4b", "31b")
CHUNKS = [5, 11, 1, 1, 23, 1, 1, 1]  # past every window below; single steps before and after it is full


def tiny(size: str) -> ModelConfig:
    """The size's stand-in with a window short enough to leave, and a vocabulary small enough to be quick."""
    config = preset(f"tiny-random-{size}")
    return replace(config, text=replace(config.text, sliding_window=8))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("size", SIZES)
def test_logits_equal_the_reference(size: str, seed: int, tmp_path: Path) -> None:
    theirs = reference_model(tiny(size), seed, tmp_path)
    ours = our_model(tmp_path)
    ids = torch.randint(5, 240, (2, sum(CHUNKS)), generator=torch.Generator().manual_seed(seed))
    expected = reference_logits(theirs, ids)
    assert expected.std() >= 0.5, "logits that hardly differ would prove nothing"
    fused = reference_logits(theirs, ids, "sdpa")
    spread = max(_gap(fused, expected), _gap(reference_logits_in_chunks(theirs, ids, CHUNKS), expected))
    tolerance = max(3e-5, 2 * spread)

    with torch.inference_mode():
        # One shot does the same operations in the same order, so it is equal almost to the bit.
        assert _gap(ours(ids), fused) <= 1e-6
        with ops.without("sdpa"):
            assert _gap(ours(ids), expected) <= 1e-6
        cache = DenseCache(ours.text, dtype=torch.float32, batch=2)
        chunks = [ours(chunk, cache) for chunk in ids.split(CHUNKS, dim=1)]
        assert _gap(torch.cat(chunks, dim=1), expected) <= tolerance


@pytest.mark.parametrize(
    "change",
    [
        {"use_double_wide_mlp": False},
        {"num_kv_shared_layers": 0},
        {"num_kv_shared_layers": 1},
        {"hidden_size_per_layer_input": 0, "num_kv_shared_layers": 0},  # the reference cannot share without them
        {"final_logit_softcapping": None},
        {"rms_norm_eps": 1e-2},
        {"sliding_window": 1},
        {"num_key_value_heads": 2},
    ],
    ids=lambda change: next(iter(change)) + "=" + str(next(iter(change.values()))),
)
def test_each_feature_alone(change: dict[str, object], tmp_path: Path) -> None:
    config = tiny("e2b")
    config = replace(config, text=replace(config.text, **change))
    theirs = reference_model(config, 0, tmp_path)
    ours = our_model(tmp_path)
    ids = torch.randint(5, 240, (1, 30))
    expected = reference_logits(theirs, ids)
    spread = _gap(reference_logits(theirs, ids, "sdpa"), expected)
    with torch.inference_mode():
        assert _gap(ours(ids), expected) <= max(3e-5, 2 * spread)


def _gap(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max())
