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
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
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
    with pytest.raises(ModelNotFoundError, match=r"known names are pebble, e2b, .*tiny-random-e2b, or give") as caught:
        resolve(name)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "name, repo",
    [
        ("e2b", "google/gemma-4-E2B-it"),
        ("E4B", "google/gemma-4-E4B-it"),
        ("12b-it", "google/gemma-4-12B-it"),
        ("26b", "google/gemma-4-26B-A4B-it"),
        ("26b-a4b", "google/gemma-4-26B-A4B-it"),
        ("31b-base", "google/gemma-4-31B"),
        ("google/gemma-4-e2b-IT", "google/gemma-4-E2B-it"),
        ("someone/else", "someone/else"),
        ("google/gemma-4-E2B@refs/pr/1", "google/gemma-4-E2B@refs/pr/1"),
        ("google/gemma-4-E2B@3e22461f", "google/gemma-4-E2B@3e22461f"),
        ("https://huggingface.co/google/gemma-4-E2B/tree/main", "google/gemma-4-E2B@main"),
        ("hf.co/org/x-GGUF:UD-Q4_K_XL", "org/x-GGUF:UD-Q4_K_XL"),
        ("gemma4", "google/gemma-4-E4B-it"),
        ("gemma4:latest", "google/gemma-4-E4B-it"),
        ("Gemma4:E2B", "google/gemma-4-E2B-it"),
        ("gemma4:26b", "google/gemma-4-26B-A4B-it"),
        ("gemma4:31b-it-bf16", "google/gemma-4-31B-it"),
        ("gemma4:e2b-it-q4_K_M", "ggml-org/gemma-4-E2B-it-GGUF:Q4_K_M"),
        ("gemma4:26b-a4b-it-q8_0", "ggml-org/gemma-4-26B-A4B-it-GGUF:Q8_0"),
        ("gemma4:e4b-it-qat", "google/gemma-4-E4B-it-qat-q4_0-gguf:Q4_0"),
    ],
)
def test_a_name_of_the_hub(embedded: Path, name: str, repo: str):
    found = resolve(name)
    assert (found.kind, found.name, str(found.wanted)) == ("remote", name, repo)


@pytest.mark.parametrize(
    "name, said",
    [
        ("e2c", "no model 'e2c'; did you mean 'e2b'?"),
        ("peble", "did you mean 'pebble'?"),
        ("gemma4:e2bb", "did you mean 'gemma4:e2b'?"),
        ("gemma4:huge", "there are gemma4:e2b, gemma4:e4b"),
        ("gemma4:e2b-mlx", "cannot read yet; for the same model unquantised: gemma4:e2b"),
        ("gemma4:e2b-mxfp8", "cannot read yet"),
        ("a/b/c", "no file or folder 'a/b/c'"),
        ("models/x.gguf", "no file or folder 'models/x.gguf'"),
        ("../../etc/passwd", "no file or folder"),
        ("google/../x", "no file or folder"),
        ("a--b/c", "no file or folder"),
    ],
)
def test_a_name_that_is_nearly_one(embedded: Path, name: str, said: str):
    with pytest.raises(ModelNotFoundError) as caught:
        resolve(name)
    assert said in str(caught.value)


def test_a_folder_wins_over_a_repository_of_that_name(embedded: Path):
    Path("google/gemma-4-E2B-it").mkdir(parents=True)
    assert resolve("google/gemma-4-E2B-it").kind == "checkpoint"


def test_a_gguf_file(tmp_path: Path):
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    assert resolve(tmp_path / "x.gguf") == Resolved("gguf", str(tmp_path / "x.gguf"), tmp_path / "x.gguf")


def test_a_file_of_another_kind(tmp_path: Path):
    (tmp_path / "x.bin").write_bytes(b"1")
    with pytest.raises(ModelNotFoundError, match="no file gemsmith can read"):
        resolve(tmp_path / "x.bin")
