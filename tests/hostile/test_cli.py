"""The whole command line under nonsense: it ends with a code that means something and a reason, never with a traceback.

Command lines and environments are drawn from each command's own options and from values that break programs. Models
are never loaded here (a loader that refuses stands in), caches and settings are in a temporary folder, and there is no
network.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gemsmith.cli import main as cli
from gemsmith.errors import GemsmithError

ROOT = Path(__file__).parents[2]
CODES = {0, 1, 2, 130, 141}
NASTY = [
    *(
        "",
        "-",
        "--",
        "---",
        "=",
        "-=",
        "--=",
        "-x",
        "\udcff",
        "\ud800",
        "9" * 400,
        "-1",
        "0",
        "-0",
        "1e999",
    ),
    *(
        "nan",
        "inf",
        "-inf",
        "1_000",
        "٣",
        "x" * 5000,
        "/dev/null",
        "/",
        ".",
        "..",
        "~",
        "~nobody/x",
        "%s%n",
        "{}",
        "{0}",
    ),
    *(
        "é",
        "\x1b[2J",
        "\n",
        "\r\n",
        "\t",
        "\u202e",
        "😀",
        "http://127.0.0.1:9/x",
        "a/b/c/d",
        "a:b:c",
        "@",
        "a@b@c",
        "a//b",
    ),
    *(
        "pebble",
        "PEBBLE",
        "./pebble",
        "e2b",
        "e2b:",
        ":q4",
        "google/gemma-4-E2B-it",
        "model.gguf",
        "x.safetensors",
        "x.bin",
    ),
    *(
        "true",
        "false",
        "null",
        "[]",
        "cpu",
        "cuda:99",
        "meta",
        "float32",
        "int4",
        "18446744073709551616",
        "--help",
        "-h",
    ),
]
ENVIRONMENT = [
    *("GEMSMITH_MODEL", "GEMSMITH_TEMPERATURE", "GEMSMITH_THREADS", "GEMSMITH_MAX_CONTEXT", "GEMSMITH_COLOR"),
    *("GEMSMITH_DEVICE", "GEMSMITH_DTYPE", "GEMSMITH_THINK", "GEMSMITH_NONSENSE", "GEMSMITH_HOME", "GEMSMITH_STOP"),
    *(
        "NO_COLOR",
        "TERM",
        "COLUMNS",
        "LINES",
        "LANG",
        "LC_ALL",
        "TZ",
        "EDITOR",
        "HF_TOKEN",
        "HF_ENDPOINT",
        "XDG_CONFIG_HOME",
    ),
]
SLOW = {"doctor": ["--quick"]}  # what keeps a command short


def options(command: str) -> list[str]:
    """The options that a command knows."""
    parser = cli.command_parser(command)
    return sorted({text for action in parser._actions for text in action.option_strings})


WORDS = st.sampled_from(NASTY) | st.text(max_size=8)


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command, mostly a real one, with options of its own and values of anybody's."""
    command = draw(st.sampled_from([*cli.COMMANDS] * 4 + NASTY))
    words = WORDS
    if command in cli.COMMANDS:
        known = st.sampled_from(options(command))
        words = WORDS | known | st.builds("{}={}".format, known, st.sampled_from(NASTY))
    before = draw(st.lists(st.sampled_from(["--debug", "--version", "--help", "-x", ""]), max_size=1))
    return [*before, command, *SLOW.get(command, []), *draw(st.lists(words, max_size=6))]


VALUES = st.sampled_from([value for value in NASTY if "\0" not in value and "\ud800" not in value])
SETTINGS = st.dictionaries(st.sampled_from(ENVIRONMENT), VALUES, max_size=4)


@contextlib.contextmanager
def surroundings(changes: Mapping[str, str], folder: Path) -> Iterator[None]:
    """An environment of nothing but these changes and folders of our own; the old one comes back."""
    before, here = dict(os.environ), os.getcwd()
    kept = {name: before[name] for name in ("PATH", "PYTHONPATH", "OMP_NUM_THREADS") if name in before}
    places = {"HOME": str(folder), "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1", "GEMSMITH_HOME": str(folder)}
    os.environ.clear()
    os.environ.update(kept | places | dict(changes))
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)
        time.tzset()


def called(argv: Sequence[str], changes: Mapping[str, str], folder: Path) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command line, with nothing on stdin."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
    stdin = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    try:
        with (
            surroundings(changes, folder),
            contextlib.redirect_stdout(streams[0]),
            contextlib.redirect_stderr(streams[1]),
        ):
            code = cli.main(list(argv))
    finally:
        sys.stdin = stdin
    answer, told = (stream.buffer.getvalue().decode() for stream in streams)  # type: ignore[attr-defined]
    return code, answer, told


@pytest.fixture
def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loader that refuses everything, wherever a command takes it from."""

    def load(source: object, **_: object) -> None:
        raise GemsmithError(f"no model {source!a} in this test; try another")

    import gemsmith.engine
    import gemsmith.engine.loading

    monkeypatch.setattr(gemsmith.engine, "load", load)
    monkeypatch.setattr(gemsmith.engine.loading, "load", load)


def check(argv: Sequence[str], changes: Mapping[str, str], code: int, answer: str, told: str) -> None:
    assert code in CODES, (code, told)
    debug = any(word == "--debug" for word in argv) or "GEMSMITH_DEBUG" in changes
    assert debug or "Traceback" not in told, told
    findings = answer if "doctor" in argv else ""  # its answer is what is wrong
    assert code == 0 or told.strip() or findings.strip(), "it failed without a reason"


@pytest.mark.slow
def test_nonsense_ends_with_a_reason(no_models: None, tmp_path: Path) -> None:
    @settings(max_examples=600, suppress_health_check=list(HealthCheck))
    @given(argv=command_lines(), changes=SETTINGS)
    @example(argv=[], changes={})
    def ends(argv: list[str], changes: dict[str, str]) -> None:
        check(argv, changes, *called(argv, changes, tmp_path))

    ends()


@pytest.mark.slow
def test_every_option_alone_and_with_each_bad_value(no_models: None, tmp_path: Path) -> None:
    """All commands, all options, the values that most often break a program."""
    for command in cli.COMMANDS:
        for option in options(command):
            for value in ("", "nan", "9" * 400, "\udcff"):
                argv = [command, *SLOW.get(command, []), "no-such-model", f"{option}={value}"]
                check(argv, {}, *called(argv, {}, tmp_path))


def test_a_machine_without_memory_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(args: object) -> int:
        raise MemoryError

    monkeypatch.setattr("gemsmith.cli.list.run", run)
    code, _, told = called(["list"], {}, tmp_path)
    assert code == 1 and "memory of this machine is used up" in told


def test_a_traceback_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("gemsmith.cli.list.run", lambda args: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        called(["list"], {}, tmp_path)


RAW: list[tuple[list[bytes], dict[bytes, bytes]]] = [
    ([], {}),
    ([b"\xff\xfe"], {}),
    ([b"run", b"\xff"], {}),
    ([b"show", b"x" * 100_000], {}),
    ([b"show", b"\x1b]0;title\x07"], {}),
    ([b"run", b"pebble\n", b"hi"], {}),
    ([b"run", b"no-such", b"--temperature", b"\xff"], {}),
    ([b"list", b"--json"], {b"HF_HOME": b"\xff\xfe/nowhere"}),
    ([b"list"], {b"HF_HUB_CACHE": b"/dev/null"}),
    ([b"show", b"--config"], {b"GEMSMITH_HOME": b"/dev/null"}),
    ([b"show", b"--config"], {b"GEMSMITH_TEMPERATURE": b"\xff"}),
    ([b"show", b"e2b"], {b"PYTHONIOENCODING": b"ascii", b"LC_ALL": b"C"}),
    ([b"show", b"e2b"], {b"COLUMNS": b"-1", b"LINES": b"x", b"TERM": b"\xff"}),
    ([b"run", b"/dev/zero", b"hi"], {}),
    ([b"run", b"/dev/stdin", b"hi"], {}),
    ([b"show", b"/proc/self/mem"], {}),
    ([b"rm", b"../../etc", b"--yes"], {}),
    ([b"pull", b"../../etc"], {}),
    ([b"pull", b"https://example.org/x"], {}),
    ([b"run", b"no-such", b"-"], {}),
    ([b"eval", b"no-such", b"--n", b"9" * 400], {}),
    ([b"doctor", b"no-such"], {}),
]


@pytest.mark.slow
@pytest.mark.parametrize("argv, changes", RAW, ids=[ascii(b" ".join(argv))[:40] for argv, _ in RAW])
def test_in_a_process_of_its_own(argv: list[bytes], changes: dict[bytes, bytes], tmp_path: Path) -> None:
    """What only a real process can be given: bytes that are no text, in the arguments and around them."""
    kept = {name: value for name, value in os.environb.items() if not name.startswith((b"HF_", b"GEMSMITH_"))}
    home = os.fsencode(tmp_path)
    places = {b"HOME": home, b"HF_HOME": home + b"/hf", b"GEMSMITH_HOME": home, b"HF_HUB_OFFLINE": b"1"}
    env = kept | places | {b"PYTHONPATH": os.fsencode(ROOT)} | changes
    command = [os.fsencode(sys.executable), b"-m", b"gemsmith", *argv]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, stdin=subprocess.DEVNULL, timeout=120)
    check(
        list(map(os.fsdecode, argv)),
        {},
        done.returncode,
        *(s.decode(errors="replace") for s in (done.stdout, done.stderr)),
    )
