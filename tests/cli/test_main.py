"""Which command is meant, what a mistake looks like, and the exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import pytest

from gemsmith import __version__
from gemsmith.cli.main import COMMANDS, MEANT
from gemsmith.errors import ModelNotFoundError


def test_no_arguments_print_the_help(gemsmith_):
    ended = gemsmith_()
    assert ended.code == 0
    assert all(name in ended.out for name in COMMANDS)
    assert "exit codes" in ended.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(gemsmith_, command):
    ended = gemsmith_(command, "--help")
    assert ended.code == 0
    assert f"gemsmith {command} " in ended.out.partition("examples:")[2]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_terminal(gemsmith_, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, gemsmith_(*command.split(), "--help").out.splitlines())) <= 80


def test_version(gemsmith_):
    assert gemsmith_("--version").out == f"gemsmith {__version__}\n"


def test_a_mistyped_command_names_the_nearest(gemsmith_):
    ended = gemsmith_("rnu", "pebble")
    assert (ended.code, ended.out) == (2, "")
    assert "did you mean 'run'?" in ended.err


@pytest.mark.parametrize(("said", "meant"), MEANT.items())
def test_words_of_other_programs_name_ours(gemsmith_, said, meant):
    assert said not in COMMANDS and f"did you mean {meant!r}?" in gemsmith_(said, "pebble").err


def test_help_is_asked_for_in_words_too(gemsmith_):
    assert gemsmith_("help").out == gemsmith_("--help").out != ""
    assert gemsmith_("help", "pull").out == gemsmith_("pull", "--help").out != ""
    assert gemsmith_("help", "nope").code == 2


def test_an_unknown_command_lists_what_there_is(gemsmith_):
    assert "there are run, " in gemsmith_("xyzzy").err


@pytest.mark.parametrize(
    "argv", [("run", "a", "b", "c"), ("run", "pebble", "--temprature", "1"), ("run", "pebble", "--top-k", "many")]
)
def test_usage_errors_end_with_2_and_say_where_help_is(gemsmith_, argv):
    ended = gemsmith_(*argv)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("gemsmith: error: ")
    assert "try: gemsmith run --help" in ended.err


def fails_with(error):
    def load(source, **options):
        raise error

    return load


def test_a_users_mistake_is_one_line(gemsmith_, monkeypatch, model):
    monkeypatch.setattr("gemsmith.engine.load", fails_with(ModelNotFoundError("no model 'nope'")))
    ended = gemsmith_("run", "nope", "hi")
    assert (ended.code, ended.out, ended.err) == (1, "", "gemsmith: error: no model 'nope'\n")


@pytest.mark.parametrize("argv", [("--debug", "run", "nope", "hi"), ("run", "nope", "hi", "--debug")])
def test_debug_shows_the_traceback(gemsmith_, monkeypatch, model, argv):
    monkeypatch.setattr("gemsmith.engine.load", fails_with(ModelNotFoundError("no model 'nope'")))
    ended = gemsmith_(*argv)
    assert ended.code == 1
    assert "Traceback" in ended.err


def test_gemsmith_debug_shows_the_traceback(gemsmith_, monkeypatch, model):
    monkeypatch.setenv("GEMSMITH_DEBUG", "1")
    monkeypatch.setattr("gemsmith.engine.load", fails_with(ModelNotFoundError("no model 'nope'")))
    assert "Traceback" in gemsmith_("run", "nope", "hi").err


def test_missing_torch_names_the_install_command(gemsmith_, monkeypatch, model):
    monkeypatch.setattr("gemsmith.engine.load", fails_with(ModuleNotFoundError("No module", name="torch.nn")))
    ended = gemsmith_("run", "pebble", "hi")
    assert ended.code == 1
    assert "pip install 'gemsmith[torch]'" in ended.err


def test_a_bug_of_ours_keeps_its_traceback(gemsmith_, monkeypatch, model):
    monkeypatch.setattr("gemsmith.engine.load", fails_with(ModuleNotFoundError("No module", name="gemsmith.oops")))
    with pytest.raises(ModuleNotFoundError):
        gemsmith_("run", "pebble", "hi")


def test_a_missing_file_is_no_traceback(gemsmith_, monkeypatch, model):
    monkeypatch.setattr("gemsmith.engine.load", fails_with(FileNotFoundError(2, "No such file", "a.json")))
    ended = gemsmith_("run", "pebble", "hi")
    assert ended.code == 1
    assert "a.json" in ended.err


def test_ctrl_c_ends_with_130(gemsmith_, monkeypatch, model):
    monkeypatch.setattr("gemsmith.engine.load", fails_with(KeyboardInterrupt()))
    ended = gemsmith_("run", "pebble", "hi")
    assert (ended.code, ended.err) == (130, "")


def test_a_warning_is_one_line(gemsmith_, monkeypatch, model):
    def load(source, **options):
        warnings.simplefilter("always")
        warnings.warn("that dtype is slow here", stacklevel=1)
        return model

    monkeypatch.setattr("gemsmith.engine.load", load)
    ended = gemsmith_("run", "pebble", "hi")
    assert (ended.code, ended.err) == (0, "gemsmith: warning: that dtype is slow here\n")


def test_python_m_gemsmith_is_the_command():
    done = subprocess.run([sys.executable, "-m", "gemsmith", "--version"], capture_output=True, text=True)
    assert done.stdout == f"gemsmith {__version__}\n"


def test_a_terminal_gets_an_error_harmlessly(gemsmith_, monkeypatch, model):
    monkeypatch.setattr("gemsmith.engine.load", fails_with(ModelNotFoundError("no \x1b]0;title\x07")))
    assert gemsmith_("run", "nope", "hi", terminal=True).err == "gemsmith: error: no \u241b]0;title\u2407\n"
    assert "\x1b" not in gemsmith_("run", "nope", "--\x1b[31m", terminal=True).err


@pytest.mark.slow
def test_closed_streams():
    """`<&-` is an empty stdin; `>&-` is a mistake that is told; without stderr nothing is told."""

    def run(closing):
        command = f"{sys.executable} -c 'import sys; from gemsmith.cli.main import main; sys.exit(main(sys.argv[1:]))'"
        return subprocess.run(["sh", "-c", f"{command} show e2b {closing}"], capture_output=True, text=True)

    assert (run("<&-").returncode, run("<&-").stderr) == (0, "")
    assert (run(">&-").returncode, run(">&-").stderr.count("\n")) == (1, 1)
    assert "stdout is closed" in run(">&-").stderr
    assert run("2>&-").returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_no_traceback():
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "gemsmith", "show", "e2b"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == b"gemsmith: error: cannot write the output: No space left on device\n"


@pytest.mark.slow
def test_a_closed_pipe_is_quiet():
    """The reader leaves before a word is written, as `| head` and `| less` do."""
    program = """if True:
        import sys
        import gemsmith.engine
        from gemsmith.chat.values import Event
        from gemsmith.cli.main import main
        class Model:
            def stream(self, messages, **options):
                yield Event("text", "hello")
        gemsmith.engine.load = lambda source: Model()
        sys.exit(main(["run", "fake", "hi"]))"""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", program], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")
