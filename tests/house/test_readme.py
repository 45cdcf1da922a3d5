"""The README is true: what it shows is what comes out. How its blocks are read and run: `fences.py`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.fences import Shown, blocks, check_command, check_session, commands

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("shown", commands(README), ids=lambda shown: shown.command[:60])
def test_command_prints_what_the_readme_shows(shown: Shown) -> None:
    check_command(shown, ROOT)


def test_python_session_prints_what_the_readme_shows() -> None:
    assert check_session(README, "README.md"), "the README shows no Python"


def test_there_are_commands_to_run() -> None:
    assert len(commands(README)) >= 3


def test_the_tree_in_the_readme_is_the_tree() -> None:
    """Every room that exists has its line, and every line its room."""
    block = next(b for b in blocks(README, "text") if b.startswith("gemsmith/"))
    told = set(re.findall(r"^  (\w+)/", block, re.MULTILINE))
    there = {path.parent.name for path in (ROOT / "gemsmith").glob("*/__init__.py")}
    assert told == there
