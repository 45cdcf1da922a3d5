"""The output on its way to disk: what a run finds, goes on with, refuses and leaves."""

from __future__ import annotations

import os
import shutil

import pytest

from gemsmith.engine.batch import identity as identities
from gemsmith.engine.batch import work as module
from gemsmith.engine.batch.identity import difference, fingerprint, identity
from gemsmith.engine.batch.lines import Scan
from gemsmith.engine.batch.request import Defaults
from gemsmith.engine.batch.work import Begun, Work
from gemsmith.errors import GemsmithError

GOOD, BAD = b'{"id": 1, "text": "a"}\n', b'{"id": 2, "error": {}}\n'
ME = {"input": "x", "--seed": 0}


def begin(work: Work, identity=ME, overwrite=False, restart=False) -> Begun:
    work.check(overwrite=overwrite, restart=restart)
    return work.begin(identity, overwrite=overwrite, restart=restart)


def stopped(tmp_path, *lines: bytes) -> Work:
    """Work that was stopped behind these lines."""
    work = Work(tmp_path / "out.jsonl")
    assert begin(work) == Begun()
    for line in lines:
        work.append(line)
    work.stop()
    return Work(tmp_path / "out.jsonl")


def test_the_output_appears_whole_and_alone(tmp_path):
    work = Work(tmp_path / "out.jsonl")
    begin(work)
    work.append(GOOD)
    assert {p.name for p in tmp_path.iterdir()} == {"out.jsonl.part", "out.jsonl.part.json"}
    work.append(BAD)
    work.finish()
    assert {p.name for p in tmp_path.iterdir()} == {"out.jsonl"}
    assert work.out.read_bytes() == GOOD + BAD


def test_work_goes_on_behind_its_last_whole_line(tmp_path):
    work = stopped(tmp_path, GOOD, BAD, GOOD)
    assert begin(work) == Begun(3, 1)
    work.append(BAD)
    work.finish()
    assert work.out.read_bytes() == GOOD + BAD + GOOD + BAD


@pytest.mark.parametrize("tail", [GOOD[:-1], b'{"id"', b"\0" * 100, b"\0" * 100 + b"\n" + GOOD, b"[1\n", b"3\n"])
def test_a_torn_tail_is_dropped(tmp_path, tail):
    """What a killed process, or a power cut, may leave."""
    work = stopped(tmp_path, GOOD, BAD)
    work.part.write_bytes(GOOD + BAD + tail)
    assert begin(work) == Begun(2, 1)
    assert work.part.read_bytes() == GOOD + BAD
    work.append(GOOD)
    assert work.part.read_bytes() == GOOD + BAD + GOOD


def test_another_identity_is_refused_and_may_restart(tmp_path):
    work = stopped(tmp_path, GOOD)
    with pytest.raises(GemsmithError, match=r"begun with --seed 0, and not 1; .* throw its 1 answer away .* --restart"):
        begin(work, ME | {"--seed": 1})
    assert work.part.read_bytes() == GOOD
    assert begin(work, ME | {"--seed": 1}, restart=True) == Begun()
    assert work.part.read_bytes() == b""


def test_a_finished_output_is_replaced_only_on_request(tmp_path):
    work = Work(tmp_path / "out.jsonl")
    work.out.write_bytes(b"mine")
    for restart in (False, True):
        with pytest.raises(GemsmithError, match="is there already; --overwrite"):
            begin(work, restart=restart)
    assert begin(work, overwrite=True) == Begun()
    work.append(GOOD)
    assert work.out.read_bytes() == b"mine"
    work.finish()
    assert work.out.read_bytes() == GOOD


def test_going_on_with_overwriting_takes_the_word_again(tmp_path):
    work = Work(tmp_path / "out.jsonl")
    work.out.write_bytes(b"mine")
    begin(work, overwrite=True)
    work.append(GOOD)
    work.stop()
    assert begin(Work(work.out), overwrite=True) == Begun(1, 0)


def test_a_run_that_ended_at_the_last_moment_is_finished(tmp_path):
    """OUT has its name, and its head is still there."""
    work = stopped(tmp_path, GOOD, BAD)
    work.part.rename(work.out)
    assert begin(work) == Begun(2, 1, is_finished=True)
    assert not work.head.exists()
    with pytest.raises(GemsmithError, match="is there already"):
        begin(work)


def test_a_head_without_its_output_means_nothing(tmp_path):
    work = stopped(tmp_path, GOOD)
    work.part.unlink()
    assert begin(work) == Begun()


def test_restarting_over_an_old_output_never_takes_it_for_the_new_one(tmp_path):
    """Died right after the old work was thrown away: the old output must not pass for the finished one."""
    work = Work(tmp_path / "out.jsonl")
    work.out.write_bytes(BAD)
    begin(work, overwrite=True)
    work.append(GOOD)
    work.stop()
    work = Work(work.out)
    work._throw_away()
    assert begin(work, overwrite=True) == Begun()
    assert work.out.read_bytes() == BAD


def test_a_part_without_a_head_is_somebody_elses(tmp_path):
    work = stopped(tmp_path, GOOD)
    work.head.unlink()
    with pytest.raises(GemsmithError, match=r"out\.jsonl\.part is there, but not out\.jsonl\.part\.json"):
        begin(work)
    assert begin(work, restart=True) == Begun()


@pytest.mark.parametrize("head", [b"", b"{}", b"[]", b'{"version": 2, "belongs_to": {}}', b"\xff", b"[" * 10**5])
def test_a_head_that_cannot_be_read_is_another(tmp_path, head):
    work = stopped(tmp_path, GOOD)
    work.head.write_bytes(head)
    with pytest.raises(GemsmithError, match="--restart"):
        begin(work)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_leaves_no_part_of_a_line(tmp_path, monkeypatch):
    work = stopped(tmp_path, GOOD)
    begin(work)
    real = os.write

    def write(fd, data):  # half a line fits
        if len(data) < len(GOOD):
            raise OSError(28, "No space left on device")
        return real(fd, data[: len(data) // 2])

    monkeypatch.setattr(module.os, "write", write)
    with pytest.raises(GemsmithError, match=r"No space left on device; what it holds is kept, and the same command"):
        work.append(GOOD)
    monkeypatch.undo()
    work.stop()
    assert work.part.read_bytes() == GOOD


def test_what_is_written_is_synced_every_second_and_at_the_end(tmp_path, monkeypatch):
    work = Work(tmp_path / "out.jsonl")
    begin(work)
    now, synced = [100.0], []
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module.os, "fsync", lambda fd: synced.append((now[0], work.part.stat().st_size)))
    for now[0] in (100.0, 100.5, 100.9, 101.2, 101.3):
        work.append(GOOD)
    size = len(GOOD)
    assert synced == [(100.0, size), (101.2, 4 * size)]
    now[0] = 102.3
    work.beat()
    work.beat()
    assert synced[2:] == [(102.3, 5 * size)]
    work.stop()
    assert len(synced) == 4


def test_an_output_that_is_no_file(tmp_path):
    with pytest.raises(GemsmithError, match="no regular file"):
        begin(Work(tmp_path))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"scan": Scan(3, "other", 0, 0)}, "other lines"),
        ({"limit": 5}, "--limit not set, and not 5"),
        ({"loading": {"dtype": "bfloat16"}}, '--dtype not set, and not "bfloat16"'),
        ({"loading": {"kv": "q8"}}, '--kv "bf16", and not "q8"'),
        ({"engine": "torch"}, 'the engine "cpu", and not "torch"'),
        ({"defaults": Defaults("Be brief.")}, "--system"),
        ({"defaults": Defaults(think=True)}, "--think false, and not true"),
        ({"defaults": Defaults(seed=1)}, "--seed 0, and not 1"),
        ({"defaults": Defaults(sampling={"stop": ["x"]})}, '--stop not set, and not ["x"]'),
        ({"model": "other"}, "another model"),
    ],
)
def test_an_identity_names_what_differs(change, words):
    given = {"scan": Scan(3, "sum", 9, 9), "limit": None, "model": "m", "path": None, "loading": {"threads": 2},
             "defaults": Defaults(), "engine": "cpu"}  # fmt: skip
    same = identity(**given | {"scan": Scan(3, "sum", 1, 1), "loading": {"threads": 1}})
    assert difference(identity(**given), same) is None
    assert words in (difference(identity(**given), identity(**given | change)) or "")


def test_a_model_is_known_by_its_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(identities, "WHOLE", 1000)
    one = tmp_path / "one"
    one.mkdir()
    (one / "config.json").write_text("{}")
    (one / "model.safetensors").write_bytes(bytes(range(256)) * 8192)
    shutil.copytree(one, tmp_path / "two")
    before = fingerprint(one)
    assert fingerprint(tmp_path / "two") == before
    os.utime(one / "model.safetensors", (1, 1))
    (one / "README.md").write_text("new")
    assert fingerprint(one) == before
    (one / "model.safetensors").write_bytes(bytes(reversed(range(256))) * 8192)
    assert fingerprint(one) != before
    assert fingerprint(tmp_path / "two" / "model.safetensors") == fingerprint(tmp_path / "two" / "model.safetensors")
    (tmp_path / "two" / "config.json").write_text("{ }")
    assert fingerprint(tmp_path / "two") != before


@pytest.mark.skipif(os.name != "posix", reason="no links and pipes")
@pytest.mark.parametrize("lay", [lambda part, file: part.symlink_to(file), lambda part, file: os.mkfifo(part)])
def test_a_part_that_is_no_file_of_its_own_is_not_written(lay, tmp_path):
    mine = tmp_path / "mine"
    mine.touch()
    work = Work(tmp_path / "out.jsonl")
    lay(work.part, mine)
    with pytest.raises(GemsmithError, match="cannot write"):
        work.begin({}, overwrite=False, restart=False)
    assert mine.read_bytes() == b"" and not work.out.exists()


@pytest.mark.skipif(os.name != "posix", reason="no pipes")
@pytest.mark.parametrize("is_begun", [False, True])
def test_a_pipe_with_a_reader_in_place_of_the_part_is_not_written(is_begun, tmp_path):
    work = Work(tmp_path / "out.jsonl")
    if is_begun:
        begin(work, {"--seed": 1})
        work.stop()
        work.part.unlink()
    os.mkfifo(work.part)
    reader = os.open(work.part, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(GemsmithError, match=r"no regular file|not a regular file"):
        begin(work, {"--seed": 2})
    assert os.read(reader, 9) == b"" and not work.out.exists()
    os.close(reader)


@pytest.mark.skipif(os.name != "posix", reason="no links")
def test_a_link_in_place_of_the_draft_is_not_followed(tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / ".out.jsonl.part.json.new").symlink_to(mine)
    work = Work(tmp_path / "out.jsonl")
    work.begin({}, overwrite=False, restart=False)
    work.stop()
    assert mine.read_text() == "mine" and work.head.is_file() and not work.head.is_symlink()
