"""The recipe of pebble's vocabulary gives the file in the package, byte for byte."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tokenizers")
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="learnt from the docstrings of Python 3.11")
def test_the_recipe_makes_the_file_in_the_package(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "recipes/pebble_tokenizer.py"), "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kept = (ROOT / "gemsmith/hub/pebble/tokenizer.json").read_bytes()
    assert (tmp_path / "tokenizer.json").read_bytes() == kept
