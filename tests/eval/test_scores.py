"""pebble is as good as the README says: its table is the output of `gemsmith eval pebble`, run again here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gemsmith.data.curriculum import ABILITIES

README = Path(__file__).parents[2] / "README.md"
ROW = re.compile(r"^(\w+) +(\d+) +(\d+) +([\d.]+)$", re.MULTILINE)
ALLOWED = 5  # of 500: another processor rounds differently, and a close call falls the other way


def rows(text: str) -> dict[str, tuple[int, int]]:
    """Ability -> (asked, correct) of a score table."""
    return {name: (int(n), int(correct)) for name, n, correct, _ in ROW.findall(text)}


def stated() -> dict[str, tuple[int, int]]:
    return rows(README.read_text(encoding="utf-8").partition("<!-- scores -->")[2].partition("<!-- /scores -->")[0])


def test_the_readme_states_every_score_of_at_least_500_examples() -> None:
    assert set(stated()) == set(ABILITIES)
    assert all(n >= 500 for n, _ in stated().values())


@pytest.mark.long
def test_the_scores_are_those_of_the_readme() -> None:
    command = [sys.executable, "-m", "gemsmith", "eval", "pebble", "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr
    measured = rows(done.stdout)
    assert set(measured) == set(stated())
    for ability, (n, correct) in stated().items():
        assert measured[ability] == (n, pytest.approx(correct, abs=ALLOWED)), ability
