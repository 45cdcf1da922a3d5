"""What a new user does first: clone, `make chat`, ask. Installs from the package index, so only in `make test-long`."""

from __future__ import annotations

import os
import random
import resource
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh") / "gemsmith"
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    return folder


def chat(clone: Path, prompts: str) -> list[str]:
    """What `make chat` writes to stdout, line by line, with nothing of this environment but its package index."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("VIRTUAL_ENV", "PYTHON", "MAKE", "OMP_"))}
    done = subprocess.run(
        ["make", "chat"], cwd=clone, env=environment, input=prompts, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def used_s() -> float:
    """Processor seconds of all children so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_make_chat_answers_after_90_seconds_of_two_cores(clone: Path) -> None:
    """Compilation included. Counted is processor time, since other tests run beside this one."""
    before = used_s()
    assert chat(clone, "What is 17 + 25?\n") == ["42"]
    assert used_s() - before <= 2 * 90
    assert not [*clone.glob(".venv/lib/*/site-packages/torch")], "the native engine needs no torch"


def test_make_chat_answers_sums_and_differences(clone: Path) -> None:
    rng = random.Random(0)
    pairs = [(rng.randrange(1000), rng.choice("+-"), rng.randrange(1000)) for _ in range(40)]
    expected = [str(a + b if sign == "+" else a - b) for a, sign, b in pairs]
    # One question a conversation, as a person with one question would ask it.
    found = [chat(clone, f"What is {a} {sign} {b}?\n")[0] for a, sign, b in pairs]
    right = sum(map(str.__eq__, expected, found))
    assert right >= 36, f"{right} of 40: {[x for x in zip(pairs, found, expected, strict=True) if x[1] != x[2]]}"
