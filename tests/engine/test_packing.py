"""Packs made at first use: whole or not at all, once, by one program at a time, and only of what is there now."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gemsmith.engine import packing
from gemsmith.engine.packing import Job, is_kept, kept_folder, kept_packs, packed, packs_folder
from gemsmith.errors import ModelFileError
from gemsmith.formats.checkpoint import open_checkpoint
from gemsmith.formats.pack import PACK_FILE, write
from tests.hostile.checkpoint import write_checkpoint

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


class Heard:
    """What a report was told."""

    def __init__(self, during: Callable[[str], None] = lambda _: None) -> None:
        self.said: list[str] = []
        self._during = during

    def begin(self, job: Job) -> None:
        self.said.append(str(job))

    def note(self, text: str) -> None:
        self.said.append(text)

    def move(self, what: str, done: int, total: int) -> None:
        assert 0 < done <= total
        if self.said[-1] != what:
            self.said.append(what)
        self._during(what)

    def end(self, job: Job) -> None:
        self.said.append("end")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint that counts as large, and a cache folder of our own."""
    monkeypatch.setenv("GEMSMITH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(packing, "IN_MEMORY", 0)
    return write_checkpoint(tmp_path / "model", "BF16")


def make(model: Path, report: Heard | None = None) -> Any:
    return packed(open_checkpoint(model), model, report or Heard())


def left(model: Path) -> list[str]:
    """What is in the cache folder, but for its lock."""
    folder = packs_folder()
    assert folder is not None
    return sorted(entry.name for entry in folder.iterdir() if entry.name != packing.LOCK)


def test_it_is_packed_once_and_told_once(model: Path) -> None:
    first, second = Heard(), Heard()
    pack = make(model, first)
    job, *steps = first.said
    assert job.startswith("packing model for the native engine, once: ") and str(packs_folder()) in job
    assert steps == ["packing", "verifying", "end"]
    assert make(model, second).path == pack.path and second.said == []
    assert is_kept(model) and list(kept_packs()) == [pack.path]
    assert kept_packs()[pack.path] > pack.nbytes


def test_a_small_model_is_packed_in_memory(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "IN_MEMORY", 1 << 20)
    assert kept_folder(model) is None and make(model).path is None
    assert packs_folder() is not None and kept_packs() == {}


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_what_has_changed_since_is_packed_anew_and_takes_the_old_ones_place(file: str, model: Path) -> None:
    before = make(model).path
    os.utime(model / file, ns=(1, 1))
    heard = Heard()
    after = make(model, heard).path
    assert after != before and heard.said[-1] == "end" and left(model) == [after.name]


def test_a_damaged_pack_is_made_anew(model: Path) -> None:
    path = make(model).path
    (path / PACK_FILE).write_bytes((path / PACK_FILE).read_bytes()[:5000])
    heard = Heard()
    assert make(model, heard).path == path and heard.said[-1] == "end"
    (path / PACK_FILE).unlink()
    assert make(model).path == path


def test_a_kept_pack_that_cannot_be_opened_blocks_nobody(model: Path) -> None:
    path = make(model).path
    (path / "config.json").write_text("{}")
    (path / ".DS_Store").write_text("a file manager was here")
    heard = Heard()
    assert make(model, heard).path == path and heard.said[-1] == "end"
    assert not (path / ".DS_Store").exists()


@pytest.mark.parametrize("name", ["字" * 60, "\N{GRINNING FACE}" * 60, ".hidden"])
def test_long_names_of_any_script_are_kept(model: Path, name: str) -> None:
    file = (model / "model.safetensors").rename(model / f"{name[:80]}.safetensors")
    kept = kept_folder(file)
    assert kept is not None and len(os.fsencode(kept.name)) < 160 and not kept.name.startswith(".")
    kept.mkdir(parents=True)


def test_the_index_of_many_files_stands_for_all_of_them(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = model / "model.safetensors.index.json"
    index.write_text("{}")
    monkeypatch.setattr(packing, "IN_MEMORY", 1000)
    assert kept_folder(index) == kept_folder(model) is not None


@pytest.mark.parametrize("moment", ["packing", "verifying"])
def test_an_interrupt_leaves_nothing(moment: str, model: Path) -> None:
    def interrupt(what: str) -> None:
        if what == moment:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(model, Heard(interrupt))
    assert left(model) == [] and not is_kept(model)
    assert make(model).path is not None


def full(*_: Any, **__: Any) -> Iterator[Any]:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_fills_up_leaves_nothing_and_says_what_to_do(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "content", full)
    with pytest.raises(ModelFileError, match=r"(?s)No space left.*GEMSMITH_HOME.*gemsmith quantize .* --output FOLDER"):
        make(model)
    assert left(model) == []
    with pytest.raises(ModelFileError, match=r"cannot write the pack .*No space left on device; nothing was left"):
        write.write_pack(model.parent / "own", open_checkpoint(model), "q4")
    assert not (model.parent / "own").exists()


def test_what_does_not_fit_on_the_disk_is_refused_before(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    heard = Heard()
    with pytest.raises(ModelFileError, match=r"it takes .*B, and 1\.0 kB are free there"):
        make(model, heard)
    assert heard.said == [] and left(model) == []


def test_a_cache_folder_that_cannot_be_is_told(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (model.parent / "file").write_text("")
    monkeypatch.setenv("GEMSMITH_HOME", str(model.parent / "file"))
    with pytest.raises(ModelFileError, match=r"cannot be kept in .*Not a directory"):
        make(model)


TWIN = """
import sys, time
from pathlib import Path
from gemsmith.engine import packing
from gemsmith.formats.checkpoint import open_checkpoint
from gemsmith.formats.pack import verify_pack, write
packing.IN_MEMORY = 0
content = write.content

def slow(*args):
    for piece in content(*args):
        time.sleep(0.01)
        yield piece

write.content = slow
model = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
pack = packing.packed(open_checkpoint(model), model)
verify_pack(pack.path)
print(pack.path)
"""


def twin(model: Path) -> subprocess.Popen[str]:
    """A program that packs the model, slowly, when it is told to."""
    pipes: Any = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([sys.executable, "-c", TWIN, str(model)], cwd=ROOT, text=True, **pipes)


def test_programs_that_start_at_once_make_one_pack(model: Path) -> None:
    programs = [twin(model) for _ in range(3)]
    for each in programs:
        assert each.stdout is not None and each.stdout.readline() == "ready\n"
    ends = []
    for each in programs:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    for each in programs:
        out, err = each.communicate(timeout=60)
        assert each.returncode == 0, err
        ends.append((out.strip(), err))
    assert len({path for path, _ in ends}) == 1 and left(model) == [Path(ends[0][0]).name]
    assert sorted(err.count("packing model for the native engine") for _, err in ends) == [0, 0, 1]
    assert all("another gemsmith is packing" in err or "packed in" in err for _, err in ends)


def test_what_a_killed_program_left_is_swept_away(model: Path) -> None:
    program = twin(model)
    assert program.stdin is not None and program.stdout is not None
    program.stdout.readline()
    program.stdin.write("go\n")
    program.stdin.flush()
    deadline = time.monotonic() + 30
    while not any(name.startswith(".") for name in (left(model) if packs_folder().is_dir() else [])):  # type: ignore[union-attr]
        assert time.monotonic() < deadline and program.poll() is None
        time.sleep(0.01)
    program.kill()
    program.communicate()
    assert [name for name in left(model) if name.startswith(".")] and not is_kept(model)
    path = make(model).path
    assert left(model) == [path.name]
