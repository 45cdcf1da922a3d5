"""The fuzzers, run for a while: no finding. What they find stays in the corpus."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.fuzz import blind
from tests.hostile.readers import READERS

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", READERS)
def test_blind_mutations(kind: str) -> None:
    count, found = blind(kind, seconds=8, seed=1)
    assert count > 100 and not found, "\n".join(found)


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed: pip install atheris")
@pytest.mark.parametrize("kind", ["safetensors", "config", "tokenizer", "gguf"])
def test_mutations_led_by_coverage(kind: str) -> None:
    command = [sys.executable, "-m", "tests.hostile.fuzz", kind, "--atheris", "--seconds", "12"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
