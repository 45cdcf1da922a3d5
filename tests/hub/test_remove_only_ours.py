"""Removing touches nothing outside the cache, nothing that is no blob, and no other quantisation."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gemsmith.cli.main import main
from gemsmith.errors import DownloadError, ModelNotFoundError
from gemsmith.hub.known import Wanted
from gemsmith.hub.remove import removal, remove

COMMIT, BLOB = "a" * 40, "b" * 64
WANTED = Wanted("x/y")


@pytest.fixture
def folder(cache: Path) -> Path:
    """A repository as huggingface_hub makes it: one file, one ref."""
    folder = cache / "models--x--y"
    snapshot = folder / "snapshots" / COMMIT
    for each in (snapshot, folder / "blobs", folder / "refs"):
        each.mkdir(parents=True)
    (folder / "blobs" / BLOB).write_bytes(b"weights")
    os.symlink(f"../../blobs/{BLOB}", snapshot / "gemma-4-Q4_0.gguf")
    (folder / "refs" / "main").write_text(COMMIT)
    return folder


@pytest.mark.parametrize("part", ["", "blobs", "refs", "snapshots"])
def test_what_is_elsewhere_by_a_link_stays(folder: Path, tmp_path: Path, part: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    (folder / part).rename(elsewhere)
    for name in (BLOB, "notes.txt"):
        (elsewhere / name).write_text(COMMIT)
    os.symlink(elsewhere, folder / part if part else folder)
    before = sorted(map(str, elsewhere.rglob("*")))
    with pytest.raises(DownloadError, match="is a link to another folder"):
        removal(WANTED)
    assert main(["rm", "x/y", "--yes"]) == 1
    assert sorted(map(str, elsewhere.rglob("*"))) == before


def test_a_link_made_after_the_question_is_not_followed(folder: Path, tmp_path: Path) -> None:
    plan = removal(WANTED)
    (folder / "blobs").rename(tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", folder / "blobs")
    with pytest.raises(DownloadError, match="is a link"):
        remove(plan)
    assert (tmp_path / "elsewhere" / BLOB).is_file()


def test_only_blobs_go(folder: Path, tmp_path: Path) -> None:
    for name in (f"{'c' * 40}.incomplete", f"{'d' * 64}.1a2b.incomplete", "notes.txt", f"{BLOB}.bak", "e" * 50):
        (folder / "blobs" / name).write_text("12345")
    (tmp_path / "mine").write_text("mine")
    os.symlink(tmp_path / "mine", folder / "blobs" / ("f" * 40))
    remove(removal(WANTED))
    assert sorted(file.name for file in (folder / "blobs").iterdir()) == [f"{BLOB}.bak", "e" * 50, "notes.txt"]
    assert (tmp_path / "mine").read_text() == "mine" and not (folder / "snapshots").exists()


def test_nothing_is_left_of_a_repository_that_was_only_ours(folder: Path) -> None:
    (folder / ".no_exist" / COMMIT).mkdir(parents=True)
    (folder / ".no_exist" / COMMIT / "adapter_config.json").touch()
    (folder / "refs" / "pr").mkdir()
    (folder / "refs" / "pr" / "1").write_text("9" * 40)  # of a commit that is not here
    remove(removal(WANTED))
    assert not folder.exists()


def test_one_quantisation_of_several_is_not_removed_with_all(folder: Path) -> None:
    other = folder / "snapshots" / COMMIT / "gemma-4-Q8_0.gguf"
    other.write_bytes(b"other")
    with pytest.raises(DownloadError, match=r"more here than Q4_0 \(gemma-4-Q8_0.gguf\).*gemsmith rm x/y$"):
        removal(Wanted("x/y", quant="Q4_0"))
    with pytest.raises(ModelNotFoundError, match="nothing of x/y:Q6_K is in"):
        removal(Wanted("x/y", quant="Q6_K"))
    assert main(["rm", "x/y:Q4_0", "--yes"]) == 1 and other.is_file()
    other.unlink()
    remove(removal(Wanted("x/y", quant="Q4_0")))
    assert not folder.exists()
