"""What a name leads to, and what is said when it leads nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gemsmith.errors import ModelNotFoundError
from gemsmith.hub import Resolved, available_names, names, resolve


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation whose pebble is there and whose pebble-moe is not."""
    (tmp_path / "data" / "pebble").mkdir(parents=True)
    (tmp_path / "data" / "pebble" / "config.json").write_text("{}")
    monkeypatch.setattr(names, "_DATA", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def test_an_embedded_name(embedded: Path):
    assert available_names() == ("pebble",)
    assert resolve("pebble") == Resolved("checkpoint", "pebble", embedded / "pebble")


def test_a_name_in_capitals_and_in_bytes(embedded: Path):
    assert resolve("Pebble") == resolve(b"pebble") == resolve("pebble")
    assert resolve("Tiny-Random-E2B") == resolve("tiny-random-e2b")


@pytest.mark.parametrize("source", [None, 3, ["pebble"]])
def test_what_is_no_name_is_an_error(source: Any):
    with pytest.raises(ModelNotFoundError, match=f"found {type(source).__name__}; try 'pebble'"):
        resolve(source)


def test_a_strange_name_is_quoted_once(embedded: Path):
    with pytest.raises(ModelNotFoundError, match=r"^no model 'a\\x00b'; known"):
        resolve("a\0b")


def test_a_name_wins_over_a_folder_of_the_same_name(embedded: Path):
    Path("pebble").mkdir()
    assert resolve("pebble").path == embedded / "pebble"
    assert resolve("./pebble").path == Path("pebble")


def test_local_paths(tmp_path: Path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    assert resolve(tmp_path) == Resolved("checkpoint", str(tmp_path), tmp_path)
    assert resolve(tmp_path / "config.json").kind == "config"
    assert resolve(str(tmp_path / "model.safetensors")).kind == "checkpoint"


def test_a_random_model(embedded: Path):
    assert resolve("tiny-random-e2b") == Resolved("random", "tiny-random-e2b")


@pytest.mark.parametrize(
    "name",
    [
        "e2b",
        "google/gemma-4-E2B-it",
        "",
        "../nowhere",
        "a\0b",
        "x" * 4096,
        "pebble-moe",
        "\x1b[2J",
        "\ud800",
        "tiny-random-13b",
    ],
)
def test_a_name_that_leads_nowhere_says_what_would(embedded: Path, name: str):
    with pytest.raises(ModelNotFoundError, match=r"known names are pebble, tiny-random.*not built yet") as caught:
        resolve(name)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600


def test_a_preset_without_weights_is_told_from_a_name_nobody_knows(embedded: Path):
    with pytest.raises(ModelNotFoundError, match="only the config of e2b is here"):
        resolve("e2b")
    with pytest.raises(ModelNotFoundError, match="no model 'e2c'"):
        resolve("e2c")


def test_a_file_of_another_kind(tmp_path: Path):
    (tmp_path / "x.bin").write_bytes(b"1")
    with pytest.raises(ModelNotFoundError, match="no file gemsmith can read"):
        resolve(tmp_path / "x.bin")
