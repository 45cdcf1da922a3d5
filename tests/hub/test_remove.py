"""Taking models out of the cache: what goes, what stays, and that nothing else is touched."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest

from gemsmith.errors import DownloadError, ModelNotFoundError
from gemsmith.hub.cache import cached_models, find
from gemsmith.hub.known import Wanted
from gemsmith.hub.pull import Terms, pull
from gemsmith.hub.remove import removal, remove
from tests.hub.conftest import NEEDED, REPO, small_files
from tests.hub.imitation import Faults, Imitation

pytestmark = pytest.mark.slow

E2B = Wanted(REPO)


def listed() -> list[tuple[str, bool]]:
    return [(model.repo, model.complete) for model in cached_models()]


def test_a_model_goes_whole(hub: Imitation, cache: Path) -> None:
    files = small_files()
    hub.add(REPO, files)
    hub.add("org/other-gemma-4", files)
    pull(E2B, Terms())
    other = pull(Wanted("org/other-gemma-4"), Terms())
    assert listed() == [(REPO, True), ("org/other-gemma-4", True)]
    plan = removal(E2B)
    assert plan.nbytes == sum(len(files[name]) for name in NEEDED) and len(plan.commits) == 1
    remove(plan)
    assert listed() == [("org/other-gemma-4", True)] and find(E2B) is None
    assert not (cache / "models--google--gemma-4-E2B-it").exists()
    assert (other / "model.safetensors").read_bytes() == files["model.safetensors"]
    assert not huggingface_hub.scan_cache_dir(cache).warnings
    with pytest.raises(ModelNotFoundError, match="nothing of google/gemma-4-E2B-it is in"):
        removal(E2B)


def test_what_another_revision_uses_stays(hub: Imitation, cache: Path) -> None:
    old_files = small_files()
    hub.add(REPO, old_files)
    old = pull(E2B, Terms())
    hub.add(REPO, old_files | {"tokenizer.json": b"new"})
    new = pull(E2B, Terms())
    plan = removal(replace(E2B, revision=old.name[:8]))
    assert plan.nbytes == len(old_files["tokenizer.json"]) and plan.commits == (old.name,)
    remove(plan)
    assert not old.exists() and find(E2B) == new
    assert (new / "model.safetensors").read_bytes() == old_files["model.safetensors"]
    assert not huggingface_hub.scan_cache_dir(cache).warnings


def test_a_download_that_was_only_begun_goes_too(hub: Imitation, cache: Path) -> None:
    hub.add(REPO, small_files())
    hub.faults = Faults(cuts=[60_000] * 9)
    with pytest.raises(DownloadError):
        pull(E2B, Terms())
    (begun,) = cached_models()
    small = sum(len(small_files()[name]) for name in NEEDED if name != "model.safetensors")
    assert (begun.complete, begun.nbytes, begun.total) == (False, small + 60_000, small + 100_000)
    plan = removal(E2B)
    assert plan.begun and plan.nbytes == small + 60_000
    remove(plan)
    assert listed() == [] and not (cache / "models--google--gemma-4-E2B-it").exists()


def test_a_begun_revision_keeps_what_a_whole_one_has(hub: Imitation, cache: Path) -> None:
    hub.add(REPO, small_files())
    old = pull(E2B, Terms())
    hub.add(REPO, small_files() | {"model.safetensors": bytes(100_000)})
    hub.faults = Faults(cuts=[60_000] * 9)
    with pytest.raises(DownloadError):
        pull(E2B, Terms())
    assert sorted(listed()) == [(REPO, False), (REPO, True)]
    assert find(E2B) == old  # the old one serves until the new one is whole
    plan = removal(replace(E2B, revision=hub.commits[REPO]))
    assert (plan.commits, plan.nbytes, plan.begun) == ((), 60_000, True)
    remove(plan)
    assert listed() == [(REPO, True)] and (old / "model.safetensors").is_file()


def test_a_folder_that_was_linked_elsewhere_is_only_unlinked(hub: Imitation, cache: Path, tmp_path: Path) -> None:
    hub.add(REPO, small_files())
    snapshot = pull(E2B, Terms())
    mine = tmp_path / "mine"
    snapshot.rename(mine)
    os.symlink(mine, snapshot)
    remove(removal(E2B))
    assert mine.is_dir() and not snapshot.exists()


def test_what_is_no_gemma_is_not_listed(cache: Path) -> None:
    snapshot = cache / "models--meta--llama" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text('{"model_type": "llama"}')
    (cache / "datasets--x--gemma-4").mkdir()
    (cache / "models--broken").write_text("")
    assert listed() == []
    (snapshot / "config.json").write_text('{"model_type": "gemma4"}')
    assert listed() == [("meta/llama", False)]
