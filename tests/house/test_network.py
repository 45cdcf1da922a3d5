"""No connection is attempted except by `pull`, or for an explicit name that is not local.

Each command runs in a process of its own, whose sockets are denied and watched: by an audit hook in Python, and, where
strace is at hand, by the system's own list of calls. A command without an entry in LOCAL fails.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import wave
from collections.abc import Sequence
from pathlib import Path

import pytest

from gemsmith.cli.main import COMMANDS
from tests.hostile.checkpoint import change_json, write_checkpoint

pytest.importorskip("torch")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
WATCHER = Path(__file__).parent / "watcher"
OUTWARD = re.compile(r"^\d*\s*(?:connect|sendto|sendmsg)\(.*sa_family=AF_INET6?,.*", re.MULTILINE)

# By command: lines that speak of nothing but what is on this machine. FOLDER, LINES and OUT are paths of the test's.
LOCAL: dict[str, list[list[str]]] = {
    "run": [["run", "pebble", "What is 17 + 25?"], ["run", "FOLDER", "hi", "--max-tokens", "2"]],
    "show": [["show", "e2b"], ["show", "FOLDER"], ["show", "--config"]],
    "plan": [["plan", "pebble"], ["plan", "FOLDER"]],
    "eval": [["eval", "pebble", "--n", "1"]],
    "bench": [["bench", "tiny-random-e2b", "--prompt", "4", "--generate", "2", "--repeat", "1", "--warm-up", "0"]],
    "quantize": [["quantize", "pebble", "--output", "OUT"]],
    "doctor": [["doctor", "--quick"], ["doctor", "pebble"]],
    "list": [["list"], ["list", "--json"]],
    "rm": [["rm", "e2b", "--yes"]],
    "pull": [["pull", "--help"], ["pull", "google/gemma-4-E2B-it", "--offline"]],
    "transcribe": [["transcribe", "SOUND", "--model", "tiny-random-e2b", "--max-tokens", "1"]],
    "batch": [["batch", "LINES", "-o", "OUT", "--model", "pebble"]],
    "completion": [["completion", "bash"]],
}
REACHING = ["pull", "google/gemma-4-E2B-it"]  # what must try
API = """
import sys, gemsmith
gemsmith.load("pebble").chat("hi", max_tokens=1)
gemsmith.load(sys.argv[1]).chat("see http://example.org/a.png ![x](https://example.org/b.png)", max_tokens=1)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that would like its code fetched from elsewhere."""
    path = write_checkpoint(tmp_path_factory.mktemp("models") / "model")
    change_json(path / "config.json", auto_map={"AutoConfig": "someone/else--config.C"}, _name_or_path="someone/else")
    (path / "tokenizer_config.json").write_text(
        json.dumps({"auto_map": {"AutoTokenizer": ["someone/else--t.T", None]}})
    )
    return path


def environment(tmp_path: Path) -> dict[str, str]:
    """As for a new user who is on line: nothing says offline, and nothing is configured or cached."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "GEMSMITH_", "HUGGING"))}
    places = {"HF_HOME": str(tmp_path / "hf"), "GEMSMITH_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}
    return kept | places | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(ROOT)}


def watched(command: Sequence[str], tmp_path: Path) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """How a Python command ended when sockets are denied, and what it tried."""
    log = tmp_path / "sockets.txt"
    env = environment(tmp_path) | {"WATCHED_SOCKETS": str(log)}
    env["PYTHONPATH"] = f"{WATCHER}{os.pathsep}{ROOT}"
    done = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300
    )
    return done, log.read_text().splitlines() if log.exists() else []


def write_sound(path: Path) -> None:
    """A second of silence."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 16000, "NONE", ""))
        file.writeframes(bytes(32000))


def line(words: list[str], folder: Path, tmp_path: Path) -> list[str]:
    """A command line with its places filled in."""
    (tmp_path / "lines.jsonl").write_text('{"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}\n')
    write_sound(tmp_path / "sound.wav")
    places = {"FOLDER": folder, "LINES": tmp_path / "lines.jsonl", "OUT": tmp_path / "out.jsonl"}
    places |= {"SOUND": tmp_path / "sound.wav"}
    return ["-m", "gemsmith", *(str(places.get(word, word)) for word in words)]


def test_every_command_is_here() -> None:
    assert LOCAL.keys() == COMMANDS.keys(), "say in LOCAL which lines of the command need no network"


@pytest.mark.parametrize("words", [words for name in LOCAL for words in LOCAL[name]], ids=" ".join)
def test_what_is_local_tries_no_connection(words: list[str], folder: Path, tmp_path: Path) -> None:
    done, tried = watched(line(words, folder, tmp_path), tmp_path)
    assert tried == [] and "Traceback" not in done.stderr, (tried, done.stderr)
    may_fail = ("rm", "pull", "doctor", "transcribe")  # nothing to remove, nothing here, an answer of one token is cut
    assert done.returncode == 0 or words[0] in may_fail, done.stderr


def test_the_library_tries_no_connection(folder: Path, tmp_path: Path) -> None:
    done, tried = watched(["-c", API, str(folder)], tmp_path)
    assert done.returncode == 0 and tried == [], (tried, done.stderr)


def test_pull_tries_so_that_these_tests_can_fail(tmp_path: Path, folder: Path) -> None:
    done, tried = watched(line(REACHING, folder, tmp_path), tmp_path)
    assert tried and "Traceback" not in done.stderr and done.returncode == 1, (tried, done.stderr)


def traced(command: list[str], tmp_path: Path) -> list[str]:
    """System calls that speak to an Internet address."""
    log = tmp_path / "calls.txt"
    strace = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg", "-o", str(log), sys.executable]
    subprocess.run([*strace, *command], cwd=tmp_path, env=environment(tmp_path), capture_output=True, timeout=300)
    return OUTWARD.findall(log.read_text()) if log.exists() else ["strace did not run"]


def can_trace() -> bool:
    """Whether strace is here, and this process may trace another."""
    return (
        shutil.which("strace") is not None
        and not subprocess.run(["strace", "-qq", "true"], capture_output=True).returncode
    )


@pytest.mark.skipif(not can_trace(), reason="needs strace, and the right to trace a process")
@pytest.mark.parametrize(
    "words", [["run", "pebble", "hi"], ["show", "FOLDER"], ["list"], ["doctor", "--quick"]], ids=" ".join
)
def test_the_system_saw_no_connection(words: list[str], folder: Path, tmp_path: Path) -> None:
    assert traced(line(words, folder, tmp_path), tmp_path) == []


@pytest.mark.skipif(not can_trace(), reason="needs strace, and the right to trace a process")
def test_the_system_sees_one_when_there_is_one(tmp_path: Path) -> None:
    code = "import socket; s = socket.socket(); s.settimeout(1); s.connect_ex(('127.0.0.1', 9))"
    assert len(traced(["-c", code], tmp_path)) == 1
