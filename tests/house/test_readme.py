"""The README is true: what it shows is what comes out. How its blocks are read and run: `fences.py`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.fences import blocks, check_command, check_session, commands

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.slow


def test_commands_print_what_the_readme_shows(tmp_path: Path) -> None:
    """In order and in one folder of their own, since later ones use what earlier ones made."""
    folder = tmp_path / "here"
    folder.mkdir()
    for shown in commands(README):
        check_command(shown, folder, GEMSMITH_HOME=str(tmp_path / "home"), HF_HOME=str(tmp_path / "hub"))


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
