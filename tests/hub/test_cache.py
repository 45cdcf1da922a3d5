"""Looking at a cache that others write into: odd refs, and files that go away meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gemsmith.hub import cache as looking
from gemsmith.hub.cache import cached_models, commit_of, refs_of

COMMIT = "a" * 40


def add_model(cache: Path, name: str, commit: str = COMMIT) -> Path:
    """A snapshot of a config; returns the repository's folder."""
    folder = cache / f"models--x--{name}"
    (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "snapshots" / commit / "config.json").write_text('{"model_type": "gemma4"}')
    return folder


def test_refs_are_small_regular_files(cache: Path, tmp_path: Path) -> None:
    refs = add_model(cache, "y") / "refs"
    (refs / "pr").mkdir(parents=True)
    (refs / "pr" / "1").write_text(COMMIT)
    (refs / "v1").write_text(f"{COMMIT}\n")
    with (refs / "main").open("wb") as file:
        file.truncate(200 << 30)  # a hole
    os.mkfifo(refs / "pipe")
    (tmp_path / "mine").write_text(COMMIT)
    os.symlink(tmp_path / "mine", refs / "link")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "theirs").write_text(COMMIT)
    os.symlink(tmp_path / "folder", refs / "linked")
    assert refs_of(refs.parent) == {"pr/1": COMMIT, "v1": COMMIT}
    assert commit_of(refs.parent, "main") is None
    (model,) = cached_models()
    assert model.refs == ("pr/1", "v1")


def test_a_model_that_is_removed_meanwhile_is_not_listed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_model(cache, "gone")
    add_model(cache, "stays")
    true_files_of = looking.files_of

    def racing(snapshot: Path) -> Iterator[Path]:
        for file in true_files_of(snapshot):
            if "gone" in str(file):
                file.unlink()
            yield file

    monkeypatch.setattr(looking, "files_of", racing)
    assert [model.repo for model in cached_models()] == ["x/stays"]
