"""`gemsmith completion`: the bash script is sourced and asked; all three name every command and flag there is."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from gemsmith.cli.completion import Command, commands, quoted
from gemsmith.cli.main import COMMANDS

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")


@pytest.fixture
def completed(gemsmith_, tmp_path):
    """What bash offers behind these words; the last is the one that is being typed."""
    (tmp_path / "gemsmith.bash").write_text(gemsmith_("completion", "bash").out)

    def complete(*words: str) -> list[str]:
        script = 'source gemsmith.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gemsmith; echo "${COMPREPLY[@]}"'
        command = ["bash", "--norc", "-uc", script, "bash", "gemsmith", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout.split()

    return complete


@needs_bash
def test_bash_completes(completed):
    assert completed("") == list(COMMANDS)
    assert completed("ba") == ["batch"]
    assert completed("run", "peb") == ["pebble"]
    assert "31b-base" in completed("run", "")
    assert completed("show", "peb") == ["pebble"]
    assert completed("run", "pebble", "--tem") == ["--temperature"]
    assert completed("--debug", "batch", "in.jsonl", "--over") == ["--overwrite"]
    assert completed("batch", "in.jsonl", "--model", "e4b-") == ["e4b-it", "e4b-base"]
    assert completed("run", "--dtype", "") == ["float32", "bfloat16", "float16"]
    assert completed("completion", "") == ["bash", "zsh", "fish"]


@needs_bash
def test_where_nothing_of_ours_fits_bash_offers_files(completed):
    """An empty answer leaves it to `complete -o default`."""
    assert completed("run", "pebble", "--file", "") == completed("batch", "") == completed("batch", "-o", "") == []
    assert completed("nonsense", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_and_flag_is_there(gemsmith_, shell):
    ended = gemsmith_("completion", shell)
    assert (ended.code, ended.err) == (0, "")
    for command in commands():
        assert command.name in ended.out
        mine = [line for line in ended.out.splitlines() if command.name in line]
        for flag in command.flags:
            word = f" {'-l' if flag[1] == '-' else '-s'} {flag.lstrip('-')} " if shell == "fish" else flag
            assert any(word in line for line in mine), (command.name, flag)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_that_is_here_reads_its_script(gemsmith_, shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    path = tmp_path / "script"
    path.write_text(gemsmith_("completion", shell).out)
    done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_flags_are_read_from_the_parsers():
    found = {command.name: command for command in commands()}
    assert found.keys() == COMMANDS.keys()
    batch: Command = found["batch"]
    assert batch.flags["--overwrite"][1:] == (False, ())
    assert batch.flags["-o"] == batch.flags["--output"] and batch.flags["-o"][1]
    assert "pebble" in batch.flags["--model"][2] and batch.names == ()


def test_quotes_for_fish():
    assert quoted("a'b\\c") == "'a\\'b\\\\c'"


def test_another_shell_is_a_usage_error(gemsmith_):
    ended = gemsmith_("completion", "tcsh")
    assert ended.code == 2 and "tcsh" in ended.err
