"""Where a pack goes: what is there stays unless it was to be replaced, also what came there during the packing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gemsmith.errors import ModelFileError
from gemsmith.formats.pack import PACK_FILE, open_pack, stage, verify_pack, write_pack
from tests.formats.pack.small import small

pytestmark = pytest.mark.slow


def during(what: str, then: Callable[[], object]) -> Callable[[str, int, int], None]:
    """Progress that does something once, when that begins."""
    done: list[str] = []

    def progress(now: str, _: int, __: int) -> None:
        if now == what and not done:
            done.append(now)
            then()

    return progress


@pytest.mark.parametrize("replace", [False, True])
def test_a_folder_that_came_meanwhile_stays(tmp_path: Path, replace: bool) -> None:
    thesis = tmp_path / "pack" / "thesis.tex"

    def write() -> None:
        thesis.parent.mkdir()
        thesis.write_text("years of work")

    with pytest.raises(ModelFileError, match=r"holds other files \(thesis\.tex\)"):
        write_pack(tmp_path / "pack", small(), "q4", replace=replace, progress=during("verifying", write))
    assert [*tmp_path.rglob("*")] == [thesis.parent, thesis] and thesis.read_text() == "years of work"


def test_a_file_that_came_into_the_old_pack_meanwhile_stays(tmp_path: Path) -> None:
    write_pack(tmp_path / "pack", small(), "q8")
    notes = tmp_path / "pack" / "notes.txt"
    progress = during("verifying", lambda: notes.write_text("mine"))
    with pytest.raises(ModelFileError, match=r"notes\.txt"):
        write_pack(tmp_path / "pack", small(), "q4", replace=True, progress=progress)
    assert notes.read_text() == "mine" and open_pack(tmp_path / "pack").policy == "q8"
    assert [*tmp_path.iterdir()] == [tmp_path / "pack"]


def test_of_two_at_once_the_second_is_refused(tmp_path: Path) -> None:
    progress = during("verifying", lambda: write_pack(tmp_path / "pack", small(), "q8"))
    with pytest.raises(ModelFileError, match="holds a pack already"):
        write_pack(tmp_path / "pack", small(), "q4", progress=progress)
    assert verify_pack(tmp_path / "pack").policy == "q8"
    assert [*tmp_path.iterdir()] == [tmp_path / "pack"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_behind_a_link_is_what_is_replaced(tmp_path: Path) -> None:
    write_pack(tmp_path / "disk" / "pack", small(), "q8")
    (tmp_path / "link").symlink_to(Path("disk") / "pack")
    assert write_pack(tmp_path / "link", small(), "q4", replace=True).policy == "q4"
    assert (tmp_path / "link").is_symlink() and open_pack(tmp_path / "disk" / "pack").policy == "q4"
    assert {path.name for path in tmp_path.iterdir()} == {"disk", "link"}
    assert [*(tmp_path / "disk").iterdir()] == [tmp_path / "disk" / "pack"]


def test_folders_that_cannot_be_exchanged_are_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def progress(*_: object) -> None:
        raise AssertionError("it was packed")

    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelFileError, match="is the current folder; name a new one in it"):
        write_pack(".", small(), "q4", progress=progress)
    (tmp_path / "disk").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "disk")
    with pytest.raises(ModelFileError, match="where a disk is mounted"):
        write_pack("disk", small(), "q4", progress=progress)


@pytest.mark.skipif(os.name == "nt", reason="no locks on folders there")
def test_what_killed_programs_left_is_swept_and_what_lives_is_not(tmp_path: Path) -> None:
    dead, living, others = (tmp_path / name for name in (".pack.packing-a", ".pack.packing-b", ".pack2.packing-c"))
    only_one = tmp_path / ".pack.packing-d.old"
    for each in (dead, living, others, only_one):
        each.mkdir()
        (each / PACK_FILE).write_bytes(b"gigabytes")
    lock = stage._lock(living)
    assert lock is not None
    try:
        write_pack(tmp_path / "pack", small(), "q4")
        assert {path.name for path in tmp_path.iterdir()} == {"pack", living.name, others.name, only_one.name}
        write_pack(tmp_path / "pack", small(), "q4", replace=True)
        assert {path.name for path in tmp_path.iterdir()} == {"pack", living.name, others.name}
    finally:
        os.close(lock)


@pytest.mark.skipif(os.name == "nt", reason="no locks on folders there")
def test_a_folder_that_is_being_filled_is_held(tmp_path: Path) -> None:
    def take() -> None:
        (made,) = tmp_path.iterdir()
        with pytest.raises(BlockingIOError):
            stage._lock(made)

    write_pack(tmp_path / "pack", small(), "q4", progress=during("packing", take))
    assert [*tmp_path.iterdir()] == [tmp_path / "pack"]
