"""A hub on loopback, an empty cache, and repositories with something in them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from gemsmith.config import preset
from gemsmith.hub.connection import Patience
from tests.hub.imitation import Imitation

REPO = "google/gemma-4-E2B-it"  # what e2b means


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, of which huggingface_hub thinks that it may use the network."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "HF_ENDPOINT", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "5")
    return tmp_path / "cache"


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Imitation]:
    """The imitation, as HF_ENDPOINT has it; attempts follow each other at once."""
    with Imitation() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setattr(Patience, "pause", lambda self, attempt: 0.0)
        yield server
        huggingface_hub.close_session()


def small_files(seed: int = 0, nbytes: int = 100_000) -> dict[str, bytes]:
    """A checkpoint with a true config and noise for weights."""
    noise = random.Random(seed)
    return {
        "config.json": json.dumps(preset("tiny-random-e2b").to_json()).encode(),
        "tokenizer.json": json.dumps({"seed": seed}).encode() * 200,
        "generation_config.json": b"{}",
        "chat_template.jinja": b"{{ messages }}",
        "model.safetensors": noise.randbytes(nbytes),
        "README.md": b"# read me",
        "pytorch_model.bin": b"\x80\x04 a pickle" * 300,
        "modeling_gemma.py": b"import os",
        ".gitattributes": b"* text",
    }


NEEDED = ("config.json", "tokenizer.json", "generation_config.json", "chat_template.jinja", "model.safetensors")


def assert_whole_or_invisible(cache: Path, hub: Imitation, repo: str = REPO, needed: tuple[str, ...] = NEEDED) -> bool:
    """No program sees half a file or half a model; returns whether the model can be seen."""
    scanned = huggingface_hub.scan_cache_dir(cache) if cache.is_dir() else None
    if scanned is None:
        return False
    assert not scanned.warnings
    seen = False
    for found in scanned.repos:
        for revision in found.revisions:
            if found.repo_id != repo:
                continue
            seen = True
            assert {file.file_name for file in revision.files} == set(needed)
            for file in revision.files:
                assert file.file_path.read_bytes() == hub.repos[repo][file.file_name], file.file_name
    return seen
