"""The README is true: what it shows is what comes out.

Two kinds of fenced block are run. In ```console, a line that starts with `$ ` is a command, and the lines up to the
next one are what it writes to stdout. ```pycon is an interactive Python session, all blocks one after another. In both,
`...` stands for anything. Other fences (```sh, ```text) are not run.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.slow


class Shown(NamedTuple):
    """One command of the README, and what the README says it prints."""

    command: str
    output: str


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[Shown]:
    shown = []
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            shown.append(Shown(command.split("  #")[0].rstrip(), output))
    return shown


def same(shown: str, found: str) -> bool:
    """Equal line by line but for space at line ends; `...` matches anything, also many lines."""
    shown, found = (re.sub(r"[ \t]+$", "", text.strip(), flags=re.MULTILINE) for text in (shown, found))
    return bool(re.fullmatch(".*?".join(map(re.escape, shown.split("..."))), found, re.DOTALL))


@pytest.mark.parametrize("shown", commands(), ids=lambda shown: shown.command[:60])
def test_command_prints_what_the_readme_shows(shown: Shown) -> None:
    environment = dict(os.environ, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    done = subprocess.run(
        ["bash", "-c", shown.command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    assert same(shown.output, done.stdout), f"the README shows\n{shown.output}\nand this came out\n{done.stdout}"


def test_python_session_prints_what_the_readme_shows() -> None:
    session = "\n".join(blocks("pycon"))
    test = doctest.DocTestParser().get_doctest(session, {}, "README.md", "README.md", 0)
    assert test.examples, "the README shows no Python"
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False)
    runner.run(test, out=told.append)
    assert not runner.failures, "".join(told)


def test_there_are_commands_to_run() -> None:
    assert len(commands()) >= 3


def test_the_tree_in_the_readme_is_the_tree() -> None:
    """Every room that exists has its line, and every line its room."""
    block = next(b for b in blocks("text") if b.startswith("gemsmith/"))
    told = set(re.findall(r"^  (\w+)/", block, re.MULTILINE))
    there = {path.parent.name for path in (ROOT / "gemsmith").glob("*/__init__.py")}
    assert told == there
