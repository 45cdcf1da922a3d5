"""Installing where nothing compiles C++: it still works, and what cannot run names the commands that mend it.

Installs from the package index into a virtual environment of its own, so only in `make test-long`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOWHERE = {"CXX": "no-such-compiler", "CC": "no-such-compiler"}
QUESTION = "What is 17 + 25?"

pytestmark = pytest.mark.long


def run(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command with nothing of this environment but its package index, and no compiler."""
    unwanted = ("VIRTUAL_ENV", "PYTHON", "GEMSMITH_", "MAKE", "CMAKE_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    environment |= NOWHERE | {"GEMSMITH_HOME": str(folder / "home")} | variables
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment with the base package in it."""
    folder = tmp_path_factory.mktemp("without")
    subprocess.run(["git", "clone", "--quiet", ROOT, folder / "gemsmith"], check=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    command = [f"{folder / 'venv' / 'bin' / 'python'}", "-m", "pip", "install", "--quiet", f"{folder / 'gemsmith'}"]
    done = run(command, folder)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder / "venv" / "bin"


def test_what_needs_no_engine_works(installed: Path) -> None:
    done = run([f"{installed / 'gemsmith'}", "show", "e2b"], installed.parent)
    assert done.returncode == 0, done.stderr
    code = "from gemsmith import kernels; print(kernels.available())"
    assert run([f"{installed / 'python'}", "-c", code], installed.parent).stdout == "False\n"


def test_what_needs_one_names_both_ways_to_get_one(installed: Path) -> None:
    done = run([f"{installed / 'gemsmith'}", "run", "pebble", QUESTION], installed.parent)
    assert (done.returncode, done.stdout) == (1, "") and "Traceback" not in done.stderr
    assert "apt-get install g++" in done.stderr and "pip install 'gemsmith[torch]'" in done.stderr


def test_with_torch_it_answers_all_the_same(installed: Path) -> None:
    """torch is borrowed from the environment that runs this test: it is large, and installing it is no news."""
    pytest.importorskip("torch")
    borrowed = {"PYTHONPATH": sysconfig.get_path("purelib"), "OMP_NUM_THREADS": "1"}
    done = run([f"{installed / 'gemsmith'}", "run", "pebble", QUESTION], installed.parent, **borrowed)
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr
