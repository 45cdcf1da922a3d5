"""What must not be in a file that is committed: paths of somebody's machine, conflict marks, giants."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# a home, a workplace, a temporary folder: written in two halves so that this file does not find itself
PLACES = re.compile(rb"(?<![\w.~$}/-])/(?:home|root|Users|work|tmp)" + rb"/[\w.-]+")
CONFLICT = re.compile(rb"^(?:<{7}|>{7}) ", re.MULTILINE)
MAX_BYTES = 16 * 2**20


def committed() -> list[Path]:
    """The files git tracks, and those it would if all were added."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [path for name in done.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_no_path_of_a_machine_is_committed() -> None:
    found = []
    for path in committed():
        data = path.read_bytes()
        if b"\0" not in data[:4096]:
            found += [f"{path.relative_to(ROOT)}: {match.group().decode()}" for match in PLACES.finditer(data)]
    assert not found, "\n".join(found)


def test_no_conflict_mark_is_committed() -> None:
    assert not [path for path in committed() if CONFLICT.search(path.read_bytes())]


def test_no_giant_is_committed() -> None:
    giants = [(path.name, path.stat().st_size) for path in committed() if path.stat().st_size > MAX_BYTES]
    assert not giants


def test_places_are_recognised() -> None:
    assert PLACES.search(b"open('/" + b"home/ada/model')")
    assert not PLACES.search(b"https://example.org/home/ada and ./work/x and $HOME/x")
