"""The recipe of pebble's vocabulary still gives what the package has, but for rare merges."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gemsmith.tokenizer.control import CONTROL_TEXTS

pytest.importorskip("tokenizers")
ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "gemsmith/hub/pebble"


def vocabulary(folder: Path) -> dict[str, int]:
    return json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]


@pytest.mark.long
def test_the_recipe_makes_such_a_vocabulary_and_twice_the_same(tmp_path: Path) -> None:
    folders = [tmp_path / "first", tmp_path / "second"]
    command = [sys.executable, str(ROOT / "recipes/pebble_tokenizer.py"), "--output"]
    runs = [subprocess.Popen([*command, str(folder)], env={"PYTHONPATH": str(ROOT)}) for folder in folders]
    assert [run.wait() for run in runs] == [0, 0]
    first, second = map(vocabulary, folders)
    kept = vocabulary(PACKAGE)
    assert first == second
    assert sorted(first.values()) == sorted(kept.values())
    assert all(first[text] == kept[text] for text in CONTROL_TEXTS)
    assert len(first.keys() & kept.keys()) > 0.95 * len(kept)
