"""`gemsmith eval MODEL`: scores on pebble's held-out examples, as a table or as JSON."""

from __future__ import annotations

import argparse
import signal
from typing import TYPE_CHECKING, Any

from gemsmith.cli import options

if TYPE_CHECKING:
    from gemsmith.eval.table import Row

EPILOG = """\
examples:
  gemsmith eval pebble                        500 examples of each ability
  gemsmith eval pebble --workers 2            twice as fast on two cores
  gemsmith eval pebble --ability sort --n 50 --failures
  gemsmith eval pebble --json > scores.json

Held out means that no training example, whatever its seed, has the same
content.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `eval` understands."""
    parser.epilog = EPILOG
    options.add_model(parser, "pebble, or any model that chats")
    parser.add_argument("--n", type=int, default=500, metavar="N", help="examples of each ability (500)")
    parser.add_argument(
        "--ability",
        action="append",
        metavar="NAME",
        help="only this ability; may be given more than once; an unknown name lists them all",
    )
    parser.add_argument("--seed", type=int, default=0, help="which examples are drawn (0)")
    parser.add_argument("--workers", type=int, default=1, help="processes, each with its own copy of the model (1)")
    parser.add_argument("--failures", action="store_true", help="also list the first wrong replies of each ability")
    parser.add_argument("--json", action="store_true", help="everything as JSON, wrong replies too")
    options.add_loading(parser)


def run(args: argparse.Namespace) -> int:
    """Score, then print."""
    if args.n < 1 or args.workers < 1:
        args.usage_error("--n and --workers must be at least 1")

    from gemsmith.data.curriculum import ABILITIES
    from gemsmith.eval import table

    rows = score(args, list(dict.fromkeys(args.ability or ABILITIES)))
    if args.json:
        print(table.as_json(rows))
    else:
        print(table.table(rows))
        if args.failures and any(row.failures for row in rows):
            print(f"\n{table.failure_list(rows)}")
    return 0


def score(args: argparse.Namespace, abilities: list[str]) -> list[Row]:
    """One row an ability; with several workers, each takes the next ability that nobody has."""
    from gemsmith.cli.output import patience
    from gemsmith.cli.packing import ensure_ready
    from gemsmith.engine import load
    from gemsmith.eval import pebble

    loading = options.loading(args)
    ensure_ready(args.model, loading)
    workers = min(args.workers, len(abilities))
    if workers == 1:
        with patience(f"loading {args.model}"):
            model = load(args.model, **loading)
        return pebble.score(model.chat, abilities, args.n, args.seed)

    import multiprocessing

    pebble.score(load(args.model, **loading).chat, abilities, 0, args.seed)  # a wrong name fails here, once
    jobs = [(ability, args.n, args.seed) for ability in abilities]
    setup = (args.model, {"threads": 1, **loading})
    with multiprocessing.get_context("spawn").Pool(workers, start_worker, setup) as pool:
        return pool.starmap(score_one, jobs, chunksize=1)


_model: Any = None  # a worker's own


def start_worker(source: str, loading: dict[str, Any]) -> None:
    """Load a worker's model, and leave Ctrl-C to the parent, which ends its workers."""
    global _model
    from gemsmith.engine import load

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _model = load(source, **loading)


def score_one(ability: str, n: int, seed: int) -> Row:
    """One ability, in a worker."""
    from gemsmith.eval import pebble

    return pebble.score(_model.chat, [ability], n, seed, show_progress=False)[0]
