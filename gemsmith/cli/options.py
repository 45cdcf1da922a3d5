"""The options that several commands share: how a model is loaded, and how it samples."""

from __future__ import annotations

import argparse
from typing import Any

LOADING: tuple[tuple[str, type, str, str], ...] = (
    ("--max-context", int, "TOKENS", "longest conversation to make room for (the model's own limit)"),
    ("--threads", int, "N", "processor threads (all cores)"),
    ("--dtype", str, "NAME", "float32, bfloat16 or float16 (chosen for the machine)"),
    ("--device", str, "NAME", "cpu, cuda, cuda:1, mps (chosen for the machine)"),
)

SAMPLING: tuple[tuple[str, type, str, str], ...] = (
    ("--temperature", float, "T", "0 always takes the likeliest token; higher is more varied"),
    ("--top-p", float, "P", "keep the likeliest tokens that together reach probability P"),
    ("--top-k", int, "K", "keep the K likeliest tokens; 0 keeps all"),
    ("--min-p", float, "P", "drop tokens less likely than P times the likeliest"),
    ("--max-tokens", int, "N", "end the answer after N tokens"),
    ("--seed", int, "N", "same seed, same answer"),
    ("--repetition-penalty", float, "X", "above 1: divides the odds of tokens already seen"),
    ("--presence-penalty", float, "X", "taken from the logit of any token already written"),
    ("--frequency-penalty", float, "X", "taken from a token's logit each time it was written"),
)


def add_loading(parser: argparse.ArgumentParser) -> None:
    """Add the options of `gemsmith.load`, with its own defaults in brackets."""
    _add(parser.add_argument_group("loading"), LOADING)


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Add the sampling options; whatever is not given comes from the checkpoint's generation_config.json."""
    group = parser.add_argument_group("sampling", "What is not given comes from the model's generation_config.json.")
    _add(group, SAMPLING)
    group.add_argument(
        "--stop",
        type=words,
        action="append",
        metavar="TEXT",
        default=argparse.SUPPRESS,
        help="end the answer before TEXT; may be given more than once",
    )


def words(argument: str) -> str:
    """An argument's text. Bytes that its locale could not read become the UTF-8 they are, or marks, as on stdin."""
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def loading(args: argparse.Namespace) -> dict[str, Any]:
    """The keywords for `gemsmith.load` that were given."""
    return _given(args, LOADING)


def sampling(args: argparse.Namespace) -> dict[str, Any]:
    """The keywords for `model.stream` that were given."""
    stop = {"stop": args.stop} if hasattr(args, "stop") else {}
    return _given(args, SAMPLING) | stop


def _add(group: Any, options: tuple[tuple[str, type, str, str], ...]) -> None:
    for flag, kind, metavar, text in options:
        group.add_argument(flag, type=kind, metavar=metavar, default=argparse.SUPPRESS, help=text)


def _given(args: argparse.Namespace, options: tuple[tuple[str, type, str, str], ...]) -> dict[str, Any]:
    names = [flag.removeprefix("--").replace("-", "_") for flag, *_ in options]
    return {name: getattr(args, name) for name in names if hasattr(args, name)}
