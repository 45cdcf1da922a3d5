"""`gemsmith show --config`: every setting, its value, where it came from, and what it won over.

It tells everything that is wrong with files and environment at once, where other commands stop at the first.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from gemsmith.cli import folders
from gemsmith.cli.settings import environment, files
from gemsmith.cli.settings.claim import Claim
from gemsmith.cli.settings.settled import Settled, settle
from gemsmith.cli.settings.table import BY_KEY, SETTINGS
from gemsmith.errors import GemsmithError

WIDTH = 80


def show(settled: Settled, as_json: bool) -> int:
    """Print the listing, with the flags that `settled` holds; return the exit code, 1 where something is wrong."""
    from gemsmith.cli.main import tell
    from gemsmith.cli.output import write

    facts = gather({claim.key: claim.value for claim in settled.claims if claim.kind == "flag"})
    write(sys.stdout, (json.dumps(facts, indent=2) if as_json else "\n".join(page(facts))) + "\n")
    for warning in facts["warnings"]:
        tell(f"warning: {warning}")
    for problem in facts["problems"]:
        tell(f"error: {problem}")
    return int(bool(facts["problems"]))


def gather(flags: dict[str, Any]) -> dict[str, Any]:
    """Everything the listing says, as JSON has it."""
    from gemsmith.cli.main import COMMANDS

    settled = settle("", flags)
    by_command = {name: settle(name, {}) for name in COMMANDS}
    return {
        "settings": {setting.key: fact(settled, setting.key) for setting in SETTINGS},
        "commands": {name: found for name in COMMANDS if (found := own_facts(by_command[name]))},
        "files": file_facts(settled),
        "environment": environment.shown_variables(os.environ),
        "warnings": [*strange_variables(), *idle_claims(by_command.values())],
        "problems": [str(problem) for problem in settled.problems],
    }


def fact(settled: Settled, key: str) -> dict[str, Any]:
    """A setting's value, its source, and the weaker ones."""
    found = [claim_fact(claim) for claim in settled.of(key)]
    found.append({"value": BY_KEY[key].default, "kind": "default", "where": "default"})
    return {**found[0], "overrides": found[1:-1]}


def claim_fact(claim: Claim) -> dict[str, Any]:
    """A claim as JSON has it."""
    key_in_file = {"key": claim.path} if claim.path else {}
    return {"value": claim.value, "kind": claim.kind, "where": claim.where, **key_in_file}


def own_facts(settled: Settled) -> dict[str, Any]:
    """What a command's own tables set."""
    keys = dict.fromkeys(claim.key for claim in settled.claims if claim.of_command)
    return {key: fact(settled, key) for key in keys}


def file_facts(settled: Settled) -> list[dict[str, str]]:
    """The files that were looked for, and what became of them."""
    found = []
    with suppress(OSError):  # a working folder that was deleted
        for path in files.project_files(Path.cwd(), folders.home()):
            state = "read" if path in settled.files else "not read"
            if files.is_planted(path):
                state = "not read: somebody else's, in a folder that everyone may write to"
            found.append({"path": str(path), "kind": "project file", "state": state})
    with suppress(GemsmithError):  # told as a problem
        path = folders.config_file()
        state = "read" if path in settled.files else "not read" if os.path.lexists(path) else "not there"
        state = "there is no home folder to look in" if folders.NOWHERE in path.parents else state
        found.append({"path": str(path), "kind": "user file", "state": state})
    return found


def strange_variables() -> Iterator[str]:
    """A line for every GEMSMITH_* that means nothing."""
    for name, near in environment.unknown_variables(os.environ).items():
        yield f"{name} means nothing to gemsmith" + (f"; did you mean {near}?" if near else "; unset it")


def idle_claims(by_command: Any) -> Iterator[str]:
    """A line for everything in a command's table that the command does not take."""
    from gemsmith.cli.main import command_parser
    from gemsmith.cli.options import idle

    for settled in by_command:
        if any(claim.of_command for claim in settled.claims):
            yield from idle(settled, command_parser(settled.command).get_default("takes") or ())


def page(facts: dict[str, Any]) -> Iterator[str]:
    """The listing as lines, of at most 80 characters where paths are short enough."""
    yield "Strongest first: flag, environment, project file, user file, default."
    yield ""
    for key, each in facts["settings"].items():
        yield from lines(key, each)
    for name, settings in facts["commands"].items():
        yield f"\nfor gemsmith {name} alone"
        for key, each in settings.items():
            yield from lines(key, each)
    yield "\nfiles"
    for file in facts["files"]:
        yield f"  {file['path']}  ({file['kind']}, {file['state']})"
    yield "\nenvironment" if facts["environment"] else "\nenvironment: nothing else is set"
    for name, value in facts["environment"].items():
        yield f"  {name:<21} {value}"


def lines(key: str, each: dict[str, Any]) -> Iterator[str]:
    """A setting on a line, its source below it where that is too long, and one line for each weaker source."""
    value = BY_KEY[key].unset if each["kind"] == "default" else spelled(each["value"])
    line, source = f"  {key:<21} {value:<25}", place(each)
    if len(line) + 1 + len(source) <= WIDTH:
        yield f"{line} {source}"
    else:
        yield line.rstrip()
        yield f"      from {source}"
    for weaker in each["overrides"]:
        yield f"      over {spelled(weaker['value'])} from {place(weaker)}"


def place(each: dict[str, Any]) -> str:
    """Where a claim stands: a variable, a flag, or a file and the key in it."""
    return f"{each['where']}: {each['key']}" if "key" in each else str(each["where"])


def spelled(value: Any) -> str:
    """A value as a file would have it, cut to what a line bears."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 48 else text[:45] + "..."
