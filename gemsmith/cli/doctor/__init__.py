"""`gemsmith doctor [MODEL]`: what this machine has, which runtime serves and why, and whether it computes rightly.

    machine.py        system, processor, memory, accelerators
    installation.py   gemsmith and its packages
    surroundings.py   where models go, variables
    runtimes.py       what could serve, and what would
    numbers.py        the self-test
    checkpoint.py     one model
    native.py         the native engine, and a model on it
    weights.py        every number of a checkpoint
    finding.py        what a finding is
    page.py           how it is shown
    progress.py       what is told while it lasts

Looks and computes; changes nothing and opens no connection.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gemsmith.cli.doctor.finding import Section

EPILOG = """\
examples:
  gemsmith doctor                    the machine; half a minute at most
  gemsmith doctor --quick            without imports on trial and self-test
  gemsmith doctor pebble             one model: files, memory, weights, numbers
  gemsmith doctor ./my-model --json  the same for a program

"ok" is as it should be, "note" is worth knowing, "wrong" will fail or compute
wrongly; the line "type:" below it says what to do. Exit code 1 if anything is
wrong. Nothing is changed, and no connection is opened.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `doctor` understands."""
    parser.epilog = EPILOG
    parser.add_argument("model", metavar="MODEL", nargs="?", help="look at this model instead of the machine")
    parser.add_argument("--quick", action="store_true", help="leave out what takes more than a few seconds")
    parser.add_argument("--json", action="store_true", help="print one JSON object, with all measurements")


def run(args: argparse.Namespace) -> int:
    """Look at everything; 1 if anything is wrong."""
    from gemsmith.cli.doctor import page
    from gemsmith.cli.doctor.finding import section
    from gemsmith.cli.doctor.progress import Progress

    progress = Progress()
    found: list[Section] = []
    for title, look in looks(args.model, quick=args.quick, say=progress.say, found=found):
        progress.say(f"looking at {title}")
        found.append(section(title, look))
        progress.clear()
        if not args.json:
            page.show(found[-1])
    print(as_json(found) if args.json else page.summary(found))
    return 1 if any(finding.mark == "wrong" for each in found for finding in each.findings) else 0


def looks(
    model: str | None, *, quick: bool, say: Callable[[str], None], found: list[Section]
) -> Iterator[tuple[str, Callable[[dict[str, Any]], Iterator[Any]]]]:
    """The sections to look at, each imported when its turn comes. `found` has those already seen."""
    if model is not None:
        from gemsmith.cli.doctor.checkpoint import look_at_model

        yield f"model {model}", partial(look_at_model, source=model, quick=quick, say=say)
        return
    yield "machine", _later("machine", "look_at_machine")
    yield "installation", _later("installation", "look_at_installation", quick=quick)
    yield "surroundings", _later("surroundings", "look_around")
    if any("torch" in each.facts.get("broken", ()) for each in found):
        yield "runtimes", _later("installation", "without_torch")
        return
    yield "runtimes", _later("runtimes", "look_at_runtimes")
    if not quick:
        yield "self-test", _later("numbers", "self_test", say=say)


def as_json(found: list[Any]) -> str:
    """Everything for a program: one object."""
    sections = [
        {
            "title": each.title,
            "findings": [vars(finding) for finding in each.findings],
            "facts": each.facts,
        }
        for each in found
    ]
    marks = [finding.mark for each in found for finding in each.findings]
    whole = {"ok": "wrong" not in marks, "wrong": marks.count("wrong"), "notes": marks.count("note")}
    return json.dumps(_finite(whole | {"sections": sections}), indent=2)


def _finite(value: Any) -> Any:
    """`value` with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {str(name): _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _later(module: str, name: str, **options: Any) -> Callable[[dict[str, Any]], Iterator[Any]]:
    """A look whose module is imported inside it, where an exception becomes a finding."""

    def look(facts: dict[str, Any]) -> Iterator[Any]:
        from importlib import import_module

        yield from getattr(import_module(f"gemsmith.cli.doctor.{module}"), name)(facts, **options)

    return look
