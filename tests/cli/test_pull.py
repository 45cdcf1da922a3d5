"""`gemsmith pull`, `list`, `rm`, and what `run`, `show` and `load` do with names of the Hub."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import gemsmith
from gemsmith.cli.fetching import console
from gemsmith.cli.main import main
from gemsmith.errors import DownloadError, ModelFileError
from gemsmith.hub.report import size
from tests.cli.conftest import Ended, FakeModel
from tests.hub.conftest import NEEDED, REPO, cache, hub, small_files  # noqa: F401 - fixtures
from tests.hub.imitation import Faults, Imitation

pytestmark = pytest.mark.slow

Command = Callable[..., Ended]
SIZE = size(sum(len(small_files()[name]) for name in NEEDED))
PEBBLE = Path(__file__).parents[2] / "gemsmith" / "hub" / "pebble"


def pebble_files() -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in PEBBLE.iterdir()}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMSMITH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def test_pull_says_what_it_does_and_prints_where(hub: Imitation, cache: Path, gemsmith_: Command) -> None:  # noqa: F811
    commit = hub.add(REPO, small_files())
    ended = gemsmith_("pull", "e2b")
    folder = cache / "models--google--gemma-4-E2B-it" / "snapshots" / commit
    assert (ended.code, ended.out) == (0, f"{folder}\n")
    assert ended.err.splitlines() == [
        "google/gemma-4-E2B-it",
        f"  revision  main, commit {commit[:8]}",
        f"  to fetch  {SIZE} of {SIZE} in 5 files",
        f"  into      {cache}",
        f"google/gemma-4-E2B-it is here: {SIZE}, every sum right",
        "(to talk to it: gemsmith run e2b)",
    ]
    again = gemsmith_("pull", "google/gemma-4-E2B-it", "--revision", commit)
    assert again.code == 0 and f"  to fetch  nothing: 5 files, {SIZE}, are here" in again.err
    quiet = gemsmith_("pull", "gemma4:e2b", "--quiet")
    assert quiet.err == "" and quiet.out == ended.out
    offline = gemsmith_("pull", "e2b", "--offline")
    assert (offline.code, offline.out, offline.err) == (0, ended.out, "")


def test_errors_are_one_line_and_code_1(
    hub: Imitation,  # noqa: F811
    cache: Path,  # noqa: F811
    gemsmith_: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub.add(REPO, small_files())
    monkeypatch.setattr("gemsmith.runtime.probe.total_memory", lambda: 50_000)
    for argv, said in {
        ("e2b",): "weights of google/gemma-4-E2B-it are 100 kB, and this machine has 50.0 kB of memory",
        ("e2b", "--offline"): "'e2b' is not on this machine, and nothing is fetched offline",
        ("e4b",): "has no model 'google/gemma-4-E4B-it', or only for some (status 401)",
        ("e2b", "--revision", "v9"): "has no revision 'v9'",
        ("e2c",): "did you mean 'e2b'?",
        ("tiny-random-e2b",): "made from a seed",
        (str(PEBBLE),): "needs no download",
    }.items():
        ended = gemsmith_("pull", *argv)
        assert ended.code == 1 and ended.out == "" and said in ended.err
        assert ended.err.splitlines()[-1].startswith("gemsmith: error: ")
    assert gemsmith_("pull", f"{REPO}@a", "--revision", "b").code == 2
    assert gemsmith_("pull", "e2b", "--force").code == 0


def test_pull_of_what_comes_with_gemsmith_says_where_it_is(hub: Imitation, gemsmith_: Command) -> None:  # noqa: F811
    for name in ("pebble", "Pebble"):
        ended = gemsmith_("pull", name)
        assert (ended.code, ended.out) == (0, f"{PEBBLE}\n") and "pebble comes with gemsmith" in ended.err
    assert gemsmith_("pull", "pebble", "--quiet").err == "" and not hub.seen


def test_the_bar_leaves_room_for_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "20")
    assert (console().width, console().options.max_width, console().height) == (58, 58, 20)


def test_list_shows_no_control_characters(cache: Path, gemsmith_: Command) -> None:  # noqa: F811
    names = ["models--x--gemma-4\x1b]0;owned\x07", "models--x--gemma-4\nforged", "models--x--gemma-4\udcff"]
    for name in names:
        snapshot = cache / name / "snapshots" / ("a" * 40)
        snapshot.mkdir(parents=True)
        (snapshot / "config.json").write_text('{"model_type": "gemma4"}')
    out = gemsmith_("list").out
    assert out.replace("\n", "").isprintable() and r"'x/gemma-4\x1b]0;owned\x07'" in out and "\nforged" not in out
    assert r"\nforged" in out and r"\udcff" in out


def test_list_and_rm(hub: Imitation, cache: Path, gemsmith_: Command) -> None:  # noqa: F811
    commit = hub.add(REPO, small_files())
    hub.add("a-very-long-organisation/gemma-4-with-quite-a-long-name", small_files(1))
    for name in ("e2b", "a-very-long-organisation/gemma-4-with-quite-a-long-name"):
        assert gemsmith_("pull", name).code == 0
    hub.add("x/begun-gemma-4", small_files(2))
    hub.faults = Faults(statuses=[404])
    assert gemsmith_("pull", "x/begun-gemma-4").code == 1
    lines = gemsmith_("list").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert re.search(rf"^{REPO} +{SIZE}  {commit[:8]}  just now  complete$", "\n".join(lines), re.MULTILINE)
    assert re.search(rf"^x/begun-gemma-4 .* partial: 5 of {SIZE}$", "\n".join(lines), re.MULTILINE)
    assert "a-very-long-organisation/gemma-4-with-quite-a-long-name" in lines
    models = {model["name"]: model for model in json.loads(gemsmith_("list", "--json").out)}
    assert models["pebble"]["state"] == "built in" and models[REPO]["revision"] == commit
    assert models["x/begun-gemma-4"]["state"] == "partial" and Path(models[REPO]["path"]).is_dir()

    assert "give --yes" in gemsmith_("rm", "e2b").err
    kept = gemsmith_("rm", "e2b", stdin="n\n", terminal=True)
    assert kept.code == 1 and "nothing was removed" in kept.err and f"{SIZE}? [y/N]" in kept.err
    gone = gemsmith_("rm", "e2b", stdin="y\n", terminal=True)
    assert gone.code == 0 and f"{SIZE} freed" in gone.err
    assert gemsmith_("rm", "x/begun-gemma-4", "--yes").code == 0
    assert {model["name"] for model in json.loads(gemsmith_("list", "--json").out)} == {
        "pebble",
        "a-very-long-organisation/gemma-4-with-quite-a-long-name",
    }
    for name, said in (("e2b", "nothing of"), ("pebble", "came with gemsmith"), (str(PEBBLE), "yours to remove")):
        ended = gemsmith_("rm", name, "--yes")
        assert ended.code == 1 and said in ended.err


def test_show_prefers_what_is_here(hub: Imitation, cache: Path, gemsmith_: Command) -> None:  # noqa: F811
    assert "not on this machine; to fetch it: gemsmith pull e2b" in gemsmith_("show", "e2b").out
    assert json.loads(gemsmith_("show", REPO, "--json").out)["parameters"] == 5_123_178_979
    assert "not on this machine" in gemsmith_("show", "ada/other").err
    hub.add("ada/other", pebble_files())
    assert gemsmith_("pull", "ada/other").code == 0
    facts = json.loads(gemsmith_("show", "ada/other", "--json").out)
    assert facts["config"] == json.loads(gemsmith_("show", "pebble", "--json").out)["config"]
    assert facts["here"].startswith(str(cache))
    assert f"on this machine: {facts['here']}" in gemsmith_("show", "ada/other").out


def test_run_fetches_what_is_not_here_and_says_so_first(
    hub: Imitation,  # noqa: F811
    gemsmith_: Command,
    model: FakeModel,
) -> None:
    hub.add(REPO, small_files())
    refused = gemsmith_("run", "e2b", "hi", "--offline")
    assert refused.code == 1 and "to fetch it: gemsmith pull e2b" in refused.err and not hub.seen
    ended = gemsmith_("run", "e2b", "hi")
    assert ended.code == 0 and ended.out == "1: hi\n"
    assert ended.err.startswith("(e2b is not on this machine yet)\ngoogle/gemma-4-E2B-it\n  revision  main")
    assert f"{SIZE} of {SIZE} in 5 files" in ended.err
    again = gemsmith_("run", "e2b", "hi", "--offline")
    assert again.code == 0 and "fetch" not in again.err
    gguf = gemsmith_("run", "gemma4:e2b-it-q4_K_M", "hi")
    assert gguf.code == 1 and "GGUF weights in Q4_K_M, which gemsmith does not read" in gguf.err


def test_load_fetches_from_python_too(
    hub: Imitation,  # noqa: F811
    cache: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    pytest.importorskip("torch")
    hub.add("ada/pebble", pebble_files())
    with monkeypatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(DownloadError, match="'ada/pebble' is not on this machine"):
            gemsmith.load("ada/pebble")
    loaded = gemsmith.load("ada/pebble", device="cpu")
    assert (
        loaded.chat("What is 17 + 25?", temperature=0).text
        == gemsmith.load("pebble", device="cpu").chat("What is 17 + 25?", temperature=0).text
    )
    told = capsys.readouterr()
    assert told.out == "" and "ada/pebble is here" in told.err
    requests = len(hub.seen)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    gemsmith.load("ada/pebble", device="cpu")  # asks nobody
    assert len(hub.seen) == requests
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelFileError, match="cannot be read as GGUF"):
        gemsmith.load(tmp_path / "x.gguf")


def test_shards_made_by_us_are_pulled_and_loaded(hub: Imitation, cache: Path, tmp_path: Path) -> None:  # noqa: F811
    pytest.importorskip("torch")
    from gemsmith.config import preset
    from gemsmith.formats import TensorView
    from gemsmith.formats.save import save_checkpoint
    from gemsmith.model.init import random_text_model
    from gemsmith.ops import buffers

    config = gemsmith.load("tiny-random-e2b", device="cpu").config
    config = type(config)(text=preset("tiny-random-e2b").text)
    views = {
        f"model.language_model.{name}": TensorView(
            f"model.language_model.{name}", tuple(tensor.shape), "F32", buffers.to_buffer(tensor)
        )
        for name, tensor in random_text_model(config.text, seed=0).state_dict().items()
    }
    save_checkpoint(tmp_path / "made", config, views, max_shard_bytes=200_000)
    files = {file.name: file.read_bytes() for file in (tmp_path / "made").iterdir()}
    assert sum(name.startswith("model-") for name in files) > 2
    hub.add("ada/tiny", files)
    hub.faults = Faults(cuts=[100_000, 150_000])
    assert main(["pull", "ada/tiny", "--quiet"]) == 0
    there, here = (gemsmith.load(name, device="cpu") for name in ("ada/tiny", str(tmp_path / "made")))
    assert (there.logits([2, 300]) == here.logits([2, 300])).all()


def environment(hub: Imitation, cache: Path, **more: str) -> dict[str, str]:  # noqa: F811
    return dict(os.environ, HF_ENDPOINT=hub.url, HF_HUB_CACHE=str(cache), **more)


def test_ctrl_c_says_that_nothing_is_lost(hub: Imitation, cache: Path) -> None:  # noqa: F811
    hub.add(REPO, small_files())
    hub.faults = Faults(stall_at=50_000)
    program = subprocess.Popen(
        [sys.executable, "-m", "gemsmith", "pull", "e2b"],
        env=environment(hub, cache),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not any(blob.stat().st_size == 50_000 for blob in cache.glob("*/blobs/*.incomplete")):
        assert time.monotonic() < deadline and program.poll() is None
        time.sleep(0.05)
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=60)
    hub.faults.stall_s = 0
    assert program.returncode == 130 and out == ""
    assert err.splitlines()[-1] == "(stopped; what has arrived is kept, and the same command goes on from there)"


def test_a_disk_that_is_really_full(hub: Imitation, cache: Path) -> None:  # noqa: F811
    resource = pytest.importorskip("resource")
    hub.add(REPO, small_files())
    command = [sys.executable, "-m", "gemsmith", "pull", "e2b"]
    done = subprocess.run(
        command,
        env=environment(hub, cache),
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, 70_000)),
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: the disk is full, or a limit on it is reached (File too large" in done.stderr.splitlines()[-1]
    done = subprocess.run(
        command, env=environment(hub, cache), capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True
    )
    weights = small_files()["model.safetensors"]
    assert [(seen.start, seen.sent) for seen in hub.fetched(weights)][1:] == [(70_000, 30_000)]


def test_a_bar_on_a_terminal_of_80_columns(hub: Imitation, cache: Path) -> None:  # noqa: F811
    files = small_files(nbytes=3_000_000)
    hub.add(REPO, files)
    hub.faults = Faults(bytes_per_s=3e6, cuts=[1_000_000])
    shown = on_a_terminal(["pull", "e2b"], environment(hub, cache, TERM="xterm", NO_COLOR="1", COLUMNS="80"))
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    lines = [line for line in re.split(r"[\r\n]+", plain) if line and str(cache) not in line]
    assert max(map(len, map(str.rstrip, lines))) <= 80, lines
    assert max(len(line) for line in lines if "model.safetensors" in line) <= 78, lines  # "^C" has room
    assert any(re.search(r"model.safetensors .*of 3.0 MB .*/s", line) for line in lines), lines
    assert "going on at 1.0 MB (attempt 2)" in " ".join(plain.split()) and "every sum right" in plain
    assert not re.search(r"\x1b\[[0-9;]*m", shown)  # NO_COLOR


def test_lines_where_nothing_can_move(hub: Imitation, cache: Path) -> None:  # noqa: F811
    hub.add(REPO, small_files())
    assert "\x1b" not in on_a_terminal(["pull", "e2b"], environment(hub, cache, TERM="dumb"))


def on_a_terminal(argv: list[str], environ: dict[str, str]) -> str:
    """What a person sees, control characters and all."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "gemsmith", *argv]
    program = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=environ, cwd=Path(__file__).parents[2]
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    assert program.wait(60) == 0, shown
    return shown.decode()
