"""pebble keeps its promise: at least 90 of 100 on 500 held-out examples of each ability."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from gemsmith.data.curriculum import ABILITIES

pytestmark = pytest.mark.long


def test_every_ability_reaches_ninety_percent() -> None:
    command = [sys.executable, "-m", "gemsmith", "eval", "pebble", "--json", "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr
    rows = {row["ability"]: row for row in json.loads(done.stdout)}
    print({name: row["percent"] for name, row in rows.items()})
    assert set(rows) == set(ABILITIES)
    assert all(row["n"] >= 500 for row in rows.values())
    assert {name: row["percent"] for name, row in rows.items() if row["correct"] < 0.9 * row["n"]} == {}
