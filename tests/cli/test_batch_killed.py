"""A batch that is ended anywhere: what is visible is whole, nothing finished is done again, nothing is lost.

Lives and deaths are in `batch_lives.py`, a program of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


def lives(mode: str, folder: Path, number: int) -> Any:
    command = [sys.executable, str(ROOT / "tests/cli/batch_lives.py"), mode, str(folder), str(number)]
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.long
def test_killed_at_a_hundred_random_instants_with_pebble(tmp_path):
    """Two of five may die in the start, where no line is answered yet; the rest lose the line at work, and no other."""
    found = lives("pebble", tmp_path, 100)
    assert found["kills"] == 100
    assert found["asked_again"] <= 100
    assert found["without_a_line"] <= 40  # on any machine: the other 60 waited for a line


@pytest.mark.long
def test_killed_at_a_hundred_random_instants_between_quick_lines(tmp_path):
    found = lives("fake", tmp_path, 100)
    assert found["kills"] == 100 and found["asked_again"] <= 100 and found["without_a_line"] <= 40


@pytest.mark.slow
def test_killed_at_twelve_random_instants(tmp_path):
    assert lives("fake", tmp_path, 12)["kills"] == 12


@pytest.mark.slow
def test_killed_at_every_file_operation(tmp_path):
    """Also in the middle of a write: lock, part, head, lines, syncs, the final name."""
    assert lives("operations", tmp_path, 4)["deaths"] >= 20


@pytest.mark.slow
def test_ctrl_c_and_sigterm_leave_what_goes_on(tmp_path):
    found = lives("signals", tmp_path, 60)
    assert found["codes"] == [130, 143, 1]  # the last has lines that fail
    first, second, last = found["said"]
    assert "the same command goes on" in first and "the same command goes on" in second
    assert "Traceback" not in first + second + last
    assert "going on behind" in second and "60 lines (" in last
