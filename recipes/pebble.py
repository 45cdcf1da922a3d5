"""Train pebble from nothing: a small Gemma 4 with every feature of E2B's text model.

    python recipes/pebble.py [--folder runs/pebble] [--output gemsmith/hub/pebble] [--steps N] [--threads 2]

Resumes where it was stopped, bit for bit. When all steps are done, weights (bfloat16) and config.json go to the
output folder beside the tokenizer, which `recipes/pebble_tokenizer.py` makes. `dev/LOG.md` tells how runs went.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from gemsmith.chat import render_training
from gemsmith.config import ModelConfig, preset
from gemsmith.data import curriculum
from gemsmith.data.example import Example
from gemsmith.data.packing import Batch, Tokens, pack
from gemsmith.formats import TensorView
from gemsmith.formats.save import save_checkpoint
from gemsmith.model.init import initialize
from gemsmith.model.text import TextModel
from gemsmith.ops import buffers
from gemsmith.tokenizer import Tokenizer, load_tokenizer
from gemsmith.train.loop import TrainConfig, train

PACKAGE = Path(__file__).parents[1] / "gemsmith/hub/pebble"
SEED = 4
ROWS, LENGTH, MAX_TARGETS = 13, 352, 112  # 4,576 tokens a step, about 65 examples
# Later steps shift the mixture: what is long and learnt makes room for what is short and hard.
LATE_FROM, LATER_FROM, LAST_FROM, LATE_MAX_TARGETS = 5_000, 6_000, 7_000, 128
LATE_WEIGHTS = {
    "add": 20, "subtract": 24, "add_thought": 3, "subtract_thought": 4, "copy": 12, "sort": 22, "lookup": 8,
    "tool_call": 3, "tool_answer": 4, "about": 6, "unknown": 1, "chat": 3,
}  # fmt: skip
LATER_WEIGHTS = {
    "add": 20, "subtract": 44, "add_thought": 2, "subtract_thought": 2, "copy": 6, "sort": 20, "lookup": 6,
    "tool_call": 3, "tool_answer": 3, "about": 5, "unknown": 1, "chat": 3,
}  # fmt: skip
LAST_WEIGHTS = {**LATER_WEIGHTS, "subtract": 36, "copy": 7, "sort": 38}
MIXTURES = ((LAST_FROM, LAST_WEIGHTS), (LATER_FROM, LATER_WEIGHTS), (LATE_FROM, LATE_WEIGHTS), (0, curriculum.WEIGHTS))
LONG_FROM = 8_000  # at last, longer rows with conversations of up to thirty questions
LONG_ROWS, LONG_LENGTH, LONG_MAX_TARGETS = 6, 768, 240
LONG_WEIGHTS = {**LAST_WEIGHTS, "long_chat": 5}
SORTING_FROM = 8_600  # sorting is learnt last: a second, short fall of the rate, half of the examples sorting
SORTING_WEIGHTS = {**LONG_WEIGHTS, "sort": 100}

GENERATION = {"do_sample": False, "bos_token_id": 2, "eos_token_id": [1, 106, 50], "pad_token_id": 0}  # greedy
CONFIG = TrainConfig(
    steps=9_200,
    learning_rates=(
        (0, 1.5e-5), (199, 3e-3), (3_800, 3e-3), (7_000, 6e-4), (8_600, 0.0), (8_640, 5e-4), (9_200, 0.0),
    ),
)  # fmt: skip


def difficulty(ability: str, step: int) -> float:
    """From easy to hard: full difficulty after 3,000 steps; arithmetic reaches two digits after about 1,000."""
    return min(1.0, 0.1 + 0.9 * step / 3_000)


def make_batch(step: int) -> Batch:
    """The batch of one step: a function of its number and of nothing else."""
    seed = SEED * 1_000_003 + step
    if step < LONG_FROM:
        weights = next(weights for start, weights in MIXTURES if step >= start)
        max_targets = MAX_TARGETS if step < LATE_FROM else LATE_MAX_TARGETS
        stream = curriculum.stream(seed, weights=weights, difficulty=lambda ability: difficulty(ability, step))
        return pack(_tokenised(stream), rows=ROWS, length=LENGTH, max_targets=max_targets)
    stream = curriculum.stream(seed, weights=LONG_WEIGHTS if step < SORTING_FROM else SORTING_WEIGHTS)
    return pack(_tokenised(stream), rows=LONG_ROWS, length=LONG_LENGTH, max_targets=LONG_MAX_TARGETS)


def held_out(num_examples: int = 100) -> dict[str, Batch]:
    """Examples that training never draws, packed by ability."""
    batches = {}
    for ability in curriculum.ABILITIES:
        rng = random.Random(ability)
        examples = (curriculum.example(ability, rng, split="heldout") for _ in iter(int, 1))
        tokens = list(islice(_tokenised(examples), num_examples))
        rows = 2 + 2 * sum(len(ids) for ids, _ in tokens) // LENGTH
        batches[ability] = pack(tokens, rows=rows, length=LENGTH, max_targets=LENGTH)
    return batches


def _tokenised(examples: Iterator[Example]) -> Iterator[Tokens]:
    for e in examples:
        yield render_training(e.messages, tokenizer=_tokenizer(), tools=e.tools, think=e.think)


@cache
def _tokenizer() -> Tokenizer:
    return load_tokenizer(PACKAGE / "tokenizer.json")


def export(config: ModelConfig, model: TextModel, folder: Path) -> None:
    """Weights in the config's dtype, in the released layout."""
    dtype = buffers.DTYPES[{"bfloat16": "BF16", "float32": "F32"}[config.text.dtype]]
    views = {}
    for name, tensor in model.state_dict().items():
        tensor = tensor.to(dtype)
        name = f"model.language_model.{name}"
        views[name] = TensorView(name, tuple(tensor.shape), buffers.NAMES[dtype], buffers.to_buffer(tensor))
    tokenizer = (PACKAGE / "tokenizer.json").read_text(encoding="utf-8")
    save_checkpoint(folder, config, views, tokenizer_json=tokenizer, generation_config=GENERATION, overwrite=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/pebble"), help="where the run's state and log go")
    parser.add_argument("--output", type=Path, default=PACKAGE, help="where the finished checkpoint goes")
    parser.add_argument("--steps", type=int, default=CONFIG.steps)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = preset("pebble")
    model = TextModel(config.text)
    initialize(model, SEED)
    settings = TrainConfig(**{**vars(CONFIG), "steps": args.steps})
    train(model, settings, make_batch, args.folder, held_out(), report)
    export(config, model, args.output)


def report(record: dict[str, Any]) -> None:
    """One line a log record, to the terminal."""
    scores = record.pop("held_out", None)
    values = scores or record
    print("  ".join(f"{name} {value:g}" for name, value in values.items()), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
