"""`gemsmith list`: the models on this machine."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from typing import Any

EPILOG = """\
examples:
  gemsmith list
  gemsmith list --json | jq -r '.[].name'

Shown are the models that came with gemsmith, and the Gemma 4 models in Hugging
Face's cache (HF_HOME, HF_HUB_CACHE), whichever program fetched them. A model
that was only begun says how much of it is here; gemsmith pull goes on with it.
"""
COLUMNS = ("NAME", "SIZE", "REVISION", "CHANGED", "")
WIDTH = 80


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `list` understands."""
    parser.epilog = EPILOG
    parser.add_argument("--json", action="store_true", help="print a JSON list with paths, bytes and whole commits")


def run(args: argparse.Namespace) -> int:
    """Print the models, one a line."""
    models = [*embedded(), *cached()]
    if args.json:
        print(json.dumps(models, indent=2))
    else:
        print("\n".join(table([row(model) for model in models])))
    return 0


def embedded() -> Iterator[dict[str, Any]]:
    """Models that came with this installation."""
    from gemsmith.hub.names import available_names, resolve

    for name in available_names():
        path = resolve(name).path
        assert path is not None
        nbytes = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
        yield {"name": name, "state": "built in", "bytes": nbytes, "total_bytes": nbytes, "path": str(path)}


def cached() -> Iterator[dict[str, Any]]:
    """Models in Hugging Face's cache."""
    from gemsmith.hub.cache import cached_models

    for model in cached_models():
        yield {
            "name": model.repo,
            "state": "complete" if model.complete else "partial",
            "bytes": model.nbytes,
            "total_bytes": model.total or (model.nbytes if model.complete else None),
            "revision": model.revision,
            "refs": list(model.refs),
            "changed": model.changed,
            "path": None if model.path is None else str(model.path),
        }


def row(model: dict[str, Any]) -> tuple[str, ...]:
    """A model as words."""
    from gemsmith.hub.report import of, size

    nbytes, total = model["bytes"], model["total_bytes"]
    state = model["state"]
    if state == "partial":
        state = f"partial: {of(nbytes, total)}" if total else "partial"
    revision, changed = model.get("revision", "")[:8], model.get("changed")
    name = model["name"]  # a folder's, which anyone may have named
    return (
        name if name.isprintable() else ascii(name),
        size(nbytes),
        revision,
        "" if changed is None else ago(time.time() - changed),
        state,
    )


def table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Columns as wide as they need to be; a name too long for 80 columns has a line of its own."""
    others = [max(len(row[i]) for row in (COLUMNS, *rows)) for i in range(1, len(COLUMNS))]
    room = max(WIDTH - sum(others) - 2 * len(others), len(COLUMNS[0]))
    longest = max(len(row[0]) for row in (COLUMNS, *rows))
    width = min(longest, room)
    for name, nbytes, *rest in (COLUMNS, *rows):
        cells = [f"{nbytes:>{others[0]}}", *(f"{cell:<{w}}" for cell, w in zip(rest, others[1:], strict=True))]
        if len(name) > width:
            yield name
            name = ""
        yield "  ".join((f"{name:<{width}}", *cells)).rstrip()


def ago(seconds: float) -> str:
    """How long ago, in one unit."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            number = int(seconds // length)
            return f"{number} {unit}{'s' if number > 1 else ''} ago"
    return "just now"
