"""The same penalties and filters as `transformers`, on random rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gemsmith.engine.sampler import Sampler
from gemsmith.engine.sampling import Sampling

pytestmark = pytest.mark.slow  # the import alone takes seconds

V = 200
PROMPT = (3, 3, 17, 150)
PLAIN = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
CASES: list[dict[str, Any]] = [
    {"temperature": 0.7},
    {"temperature": 1e-2},
    {"top_k": 1},
    {"top_k": 20},
    {"top_k": 1000},
    {"top_p": 0.0},
    {"top_p": 0.3},
    {"top_p": 0.95},
    {"min_p": 0.05},
    {"min_p": 1.0},
    {"temperature": 1.3, "top_k": 64, "top_p": 0.95, "min_p": 0.02},
    {"repetition_penalty": 1.3},
    {"repetition_penalty": 0.8, "temperature": 0.9, "top_p": 0.8},
    {"logit_bias": {5: 3.0, 6: -2.0}, "top_k": 10},
    {"suppressed": (0, 17, 199), "top_k": 30},
]


@pytest.mark.parametrize("options", CASES, ids=str)
def test_the_distribution_is_the_references(options: dict[str, Any]) -> None:
    sampling = {name: value for name, value in options.items() if name != "suppressed"}
    sampler = Sampler(Sampling.of(PLAIN | sampling), PROMPT, V, options.get("suppressed", ()))
    for logits in np.random.default_rng(0).normal(0, 4, (20, V)).astype(np.float32):
        ids, p = sampler.candidates(sampler.adjusted(logits))
        ours = np.zeros(V)
        ours[ids] = p
        expected = reference(logits, options)
        assert np.array_equal(ours > 0, expected > 0)
        assert np.abs(ours - expected).max() < 2e-6


def reference(logits_V: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    """Probabilities after `transformers`' own processors, in the order its `generate` applies them."""
    torch = pytest.importorskip("torch")
    scores = torch.from_numpy(logits_V)[None].double()
    for processor in processors(options):
        scores = processor(torch.tensor([PROMPT]), scores)
    p: np.ndarray = scores.softmax(-1)[0].numpy()
    return p


def processors(options: dict[str, Any]) -> list[Any]:
    hf = pytest.importorskip("transformers").generation.logits_process
    makers = {
        "repetition_penalty": hf.RepetitionPenaltyLogitsProcessor,
        "logit_bias": lambda bias: hf.SequenceBiasLogitsProcessor({(token,): value for token, value in bias.items()}),
        "suppressed": lambda ids: hf.SuppressTokensLogitsProcessor(list(ids)),
        "temperature": hf.TemperatureLogitsWarper,
        "top_k": hf.TopKLogitsWarper,
        "top_p": hf.TopPLogitsWarper,
        "min_p": hf.MinPLogitsWarper,
    }
    return [make(options[name]) for name, make in makers.items() if name in options]
