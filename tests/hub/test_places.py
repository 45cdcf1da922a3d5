"""The environment's words about the Hub mean here what they mean to huggingface_hub."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gemsmith.hub import places

HOME = {"HOME": "/nowhere/ada", "PATH": os.environ["PATH"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"HF_HOME": "/models"},
        {"HF_HOME": "~/models"},
        {"HF_HUB_CACHE": "/c", "HF_HOME": "/models"},
        {"HUGGINGFACE_HUB_CACHE": "/old"},
        {"XDG_CACHE_HOME": "/xdg"},
        {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "https://mirror.example/"},
        {"HF_HUB_OFFLINE": "0"},
        {"TRANSFORMERS_OFFLINE": "yes", "HF_HUB_DOWNLOAD_TIMEOUT": "30"},
        {"HF_HUB_OFFLINE": "on"},
    ],
)
def test_as_huggingface_hub_reads_it(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    names = "HF_HUB_CACHE, ENDPOINT, HF_HUB_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT"
    code = f"from huggingface_hub.constants import {names}; print({names})"
    done = subprocess.run(
        [sys.executable, "-c", code], env=HOME | environment, capture_output=True, text=True, check=True
    )
    monkeypatch.setenv("HOME", HOME["HOME"])
    ours = (places.cache_folder(environment), places.endpoint(environment), places.offline(environment))
    assert done.stdout.split() == [*map(str, ours), str(round(places.timeout_s(environment)))]


def test_a_timeout_that_is_none() -> None:
    assert places.timeout_s({"HF_HUB_DOWNLOAD_TIMEOUT": "soon"}) == places.DEFAULT_TIMEOUT_S


def test_the_home_folder_is_shown_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nowhere/ada")
    assert places.shown(Path("/nowhere/ada/x")) == "~/x"
    assert places.shown(Path("/nowhere/adam/x")) == "/nowhere/adam/x"
