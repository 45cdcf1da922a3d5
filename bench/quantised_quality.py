"""What fewer bits cost: pebble (or any model that chats) packed, beside itself in floats, on held-out examples.

    python bench/quantised_quality.py --workers 2            # a table: q8, q4 and mix, K/V in bf16 and q8
    python bench/quantised_quality.py --to q8 q4 --kv bf16 --check

Each example is shown to both with the wanted answer behind the question, so that both predict the same tokens. At every
token of the answer (thoughts, calls and closings too) the two distributions over the vocabulary are compared:

    KL      KL(float || packed) in nats, the mean over all tokens; its standard error counts examples, since the tokens
            of one answer go together
    same    share of tokens at which both find the same token likeliest

A model that is sure of a token hardly moves; so the entropy of the float model is told too. Then both answer the same
questions themselves, greedily, as `gemsmith eval` asks them: scores, and the difference in percentage points with the
standard error of a difference between pairs. The float model is the pack with each tensor's own numbers and float32
keys and values; nothing in it has 8-bit codes.

With `--check` the exit status says whether q8 and q4 keep their limits. Abilities that lose more than the mean may are
told and break nothing: one ability has a tenth of the examples.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # from a checkout, whatever folder it is started in

import gemsmith
from gemsmith.chat.training import render_training
from gemsmith.cli.quantize import opened
from gemsmith.data.curriculum import ABILITIES
from gemsmith.data.example import Example
from gemsmith.eval.check import is_correct
from gemsmith.eval.pebble import ask, heldout
from gemsmith.formats.pack import write_pack
from gemsmith.kernels import native
from gemsmith.runtime.protocol import Run

MOST_KL = {"q8": 0.01, "q4": 0.05}  # nats; mix has no limit
MOST_POINTS = {"q8": 1.0, "q4": 2.0}


class Variant(NamedTuple):
    """A pack, and what its keys and values are stored in."""

    policy: str
    kv: str

    def __str__(self) -> str:
        return f"{self.policy}, K/V {self.kv}"


FLOATS = Variant("exact", "f32")


@dataclass(frozen=True)
class Outcomes:
    """What was measured: of each variant beside floats by example, in the order of `ability`."""

    ability: np.ndarray  # [N] names
    tokens: np.ndarray  # [N] of the answer
    entropy: np.ndarray  # [N] of the float model, sum over the answer's tokens
    kl: np.ndarray  # [variants, N] sum over the answer's tokens
    same: np.ndarray  # [variants, N] of its tokens
    correct: np.ndarray  # [variants, N] whether the model's own reply was right
    correct_in_floats: np.ndarray  # [N]

    def only(self, which: np.ndarray) -> Outcomes:
        """Of some of the examples."""
        return Outcomes(*(array[..., which] for array in vars(self).values()))


@dataclass(frozen=True)
class Cost:
    """What a variant costs, over the examples of one ability or of all."""

    num_examples: int
    num_tokens: int
    entropy: float  # in floats
    kl: float
    kl_error: float
    same: float
    score_in_floats: float  # percent
    score: float
    points: float  # score less score in floats
    points_error: float


def main(argv: Sequence[str] | None = None) -> int:
    options = parsed(argv)
    native()  # the error that names the command which builds it, where it is not built
    variants = [Variant(policy, kv) for policy in options.to for kv in options.kv]
    with tempfile.TemporaryDirectory() as folder:
        nbytes = packed(options.model, {FLOATS.policy, *options.to}, Path(folder))
        outcomes = measured(Path(folder), variants, options.n, options.seed, options.workers)
    costs = {variant: by_ability(outcomes, i) for i, variant in enumerate(variants)}
    if options.json:
        print(json.dumps(report(costs, nbytes, options), indent=2))
    else:
        print(table(costs, nbytes, options))
    broken = list(broken_limits(costs)) if options.check else []
    print("\n".join(broken), end="\n" if broken else "", file=sys.stderr)
    return int(any("of the mean" in line for line in broken))


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="what fewer bits cost: divergence and scores beside floats")
    parser.add_argument("model", nargs="?", default="pebble", help="pebble, or any model with weights to pack")
    parser.add_argument("--to", nargs="+", default=["q8", "q4", "mix"], choices=("exact", "q8", "q4", "mix"))
    parser.add_argument("--kv", nargs="+", default=["bf16", "q8"], choices=("f32", "bf16", "q8"))
    parser.add_argument("--n", type=int, default=200, help=f"examples of each of {len(ABILITIES)} abilities (200)")
    parser.add_argument("--seed", type=int, default=0, help="which examples are drawn (0)")
    parser.add_argument("--workers", type=int, default=1, help="processes (1)")
    parser.add_argument("--json", action="store_true", help="all figures, by ability too, as JSON")
    parser.add_argument("--check", action="store_true", help="exit status 1 where q8 or q4 costs too much")
    return parser.parse_args(argv)


def packed(model: str, policies: set[str], folder: Path) -> dict[str, int]:
    """Packs of the model, and the bytes of each."""
    source = opened(model)
    return {policy: write_pack(folder / policy, source, policy).nbytes for policy in sorted(policies)}


# --- measuring -----------------------------------------------------------------------------------------------------


def measured(folder: Path, variants: list[Variant], n: int, seed: int, workers: int) -> Outcomes:
    """All abilities; workers take the next that nobody has."""
    jobs = [(folder, variants, ability, n, seed) for ability in ABILITIES]
    if workers == 1:
        parts = [measured_ability(*job) for job in jobs]
    else:
        with get_context("spawn").Pool(workers, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
            parts = pool.starmap(measured_ability, jobs, chunksize=1)
    fields = zip(*(vars(part).values() for part in parts), strict=True)
    return Outcomes(*(np.concatenate(arrays, axis=-1) for arrays in fields))


def measured_ability(folder: Path, variants: list[Variant], ability: str, n: int, seed: int) -> Outcomes:
    """One ability's examples, through all models in turn."""
    models = [gemsmith.load(folder / v.policy, kv=v.kv, threads=1) for v in (FLOATS, *variants)]
    examples = list(islice(heldout(ability, seed), n))
    tokens, entropy, kl, same = [], [], [], []
    for example in examples:
        ids, targets = with_answer(models[0], example)
        floats, *others = (log_probabilities(model, ids, targets) for model in models)
        tokens.append(len(targets))
        entropy.append(-float((np.exp(floats) * floats).sum()))
        kl.append([divergence(floats, other) for other in others])
        same.append([(other.argmax(-1) == floats.argmax(-1)).sum() for other in others])
    correct = np.array([[answers_right(model, example) for example in examples] for model in models])
    sums = np.array(tokens), np.array(entropy), np.array(kl).T, np.array(same).T
    return Outcomes(np.full(n, ability), *sums, correct[1:], correct[0])


def with_answer(model: gemsmith.Model, example: Example) -> tuple[list[int], list[int]]:
    """The ids of the whole conversation, and the places of those that the model must write."""
    ids, is_answer = render_training(
        example.messages,
        tokenizer=model.tokenizer,
        tools=example.tools,
        think=example.think,
        empty_thought=model.config.text.hidden_size_per_layer_input == 0,
    )
    return ids, [place for place, learn in enumerate(is_answer) if learn]


def log_probabilities(model: gemsmith.Model, ids: list[int], places: list[int]) -> np.ndarray:
    """Of the tokens at these places, given all before each: [places, V] in float64."""
    sequence = model.runtime.new()
    logits = model.runtime.step([Run(sequence, ids, [place - 1 for place in places])]).logits.astype(np.float64)
    model.runtime.free(sequence)
    logits -= logits.max(-1, keepdims=True)
    result: np.ndarray = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return result


def divergence(floats: np.ndarray, other: np.ndarray) -> float:
    """KL(floats || other), summed over the rows."""
    return float((np.exp(floats) * (floats - other)).sum())


def answers_right(model: gemsmith.Model, example: Example) -> bool:
    return is_correct(ask(model.chat, example), example.messages[-1])


# --- figures -------------------------------------------------------------------------------------------------------


def by_ability(outcomes: Outcomes, variant: int) -> dict[str, Cost]:
    """What one variant costs in all and in each ability; "mean" is over all examples, of which each has as many."""
    parts = {name: outcomes.ability == name for name in dict.fromkeys(outcomes.ability.tolist())}
    each = {name: cost(outcomes.only(part), variant) for name, part in parts.items()}
    return {"mean": cost(outcomes, variant), **each}


def cost(outcomes: Outcomes, variant: int) -> Cost:
    n, num_tokens, kl = len(outcomes.tokens), int(outcomes.tokens.sum()), outcomes.kl[variant]
    mean = kl.sum() / num_tokens
    of_examples = n / max(n - 1, 1)  # as in a sample's variance
    floats, own = outcomes.correct_in_floats, outcomes.correct[variant]
    change = 100.0 * (own.astype(float) - floats)
    return Cost(
        num_examples=n,
        num_tokens=num_tokens,
        entropy=float(outcomes.entropy.sum() / num_tokens),
        kl=float(mean),
        kl_error=math.sqrt(of_examples * ((kl - mean * outcomes.tokens) ** 2).sum()) / num_tokens,
        same=float(outcomes.same[variant].sum() / num_tokens),
        score_in_floats=float(100 * floats.mean()),
        score=float(100 * own.mean()),
        points=float(change.mean()),
        points_error=math.sqrt(of_examples * change.var() / n),
    )


def broken_limits(costs: dict[Variant, dict[str, Cost]]) -> Iterator[str]:
    """What is over its limit. Of the mean it breaks a promise; of an ability it is told."""
    for variant, parts in costs.items():
        if variant.policy not in MOST_KL:
            continue
        most_kl, most_points = MOST_KL[variant.policy], MOST_POINTS[variant.policy]
        for name, part in parts.items():
            of = "of the mean" if name == "mean" else f"of {name} alone"
            if part.kl > most_kl:
                yield f"{variant}: KL {of} is {part.kl:.4f} nats, at most {most_kl}"
            if abs(part.points) > most_points:
                yield f"{variant}: the score {of} is {part.points:+.1f} points away, at most {most_points:g}"


# --- the report ----------------------------------------------------------------------------------------------------


def table(costs: dict[Variant, dict[str, Cost]], nbytes: dict[str, int], options: argparse.Namespace) -> str:
    """All examples, then each ability."""
    first = next(iter(costs.values()))
    whole = first["mean"]
    lines = [
        f"{datetime.now():%Y-%m-%d}, {machine()['processor']}, {machine()['isa']}",
        f"{options.model}: {whole.num_examples:,} held-out examples, {whole.num_tokens:,} tokens of answers",
        f"in floats {nbytes[FLOATS.policy] / 1e6:.2f} MB, {whole.score_in_floats:.2f} % right, entropy of a token"
        f" {whole.entropy:.4f} nats",
        "",
        f"{'':16}{'MB':>8}{'KL, nats':>22}{'same token':>12}{'right':>10}{'points':>16}",
    ]
    for variant, parts in costs.items():
        c = parts["mean"]
        lines.append(
            f"{variant!s:16}{nbytes[variant.policy] / 1e6:8.2f}{c.kl:11.6f} ± {c.kl_error:.6f}{100 * c.same:10.2f} %"
            f"{c.score:8.2f} %{c.points:+9.2f} ± {c.points_error:.2f}"
        )
    for variant, parts in costs.items():
        lines += ["", f"{variant!s:18}{'KL':>10}{'same token':>12}{'floats':>10}{'right':>10}{'points':>8}"]
        lines += [
            f"  {name:16}{c.kl:10.6f}{100 * c.same:10.2f} %{c.score_in_floats:8.1f} %{c.score:8.1f} %{c.points:+8.1f}"
            for name, c in parts.items()
        ]
    return "\n".join(lines)


def report(
    costs: dict[Variant, dict[str, Cost]], nbytes: dict[str, int], options: argparse.Namespace
) -> dict[str, Any]:
    """The same, and what it was measured on."""
    return {
        "model": options.model,
        "date": f"{datetime.now():%Y-%m-%d}",
        "machine": machine(),
        "examples_of_each_ability": options.n,
        "seed": options.seed,
        "bytes": nbytes,
        "variants": [
            {**variant._asdict(), "costs": {name: vars(c) for name, c in parts.items()}}
            for variant, parts in costs.items()
        ],
    }


def machine() -> dict[str, Any]:
    """What figures were measured on."""
    processor = platform.processor() or platform.machine()
    return {"processor": processor, "cores": os.cpu_count(), "isa": native().isa()}


if __name__ == "__main__":
    sys.exit(main())
