"""Settings as flags: made from the table, filled from environment and files, and told where they can do nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemsmith.cli.settings.table import BY_KEY, LOADING, SAMPLING


@pytest.fixture
def user_file(monkeypatch, tmp_path):
    monkeypatch.setenv("GEMSMITH_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    return tmp_path / "config.toml"


def test_files_and_environment_reach_the_model_as_flags_do(gemsmith_, model, user_file, monkeypatch):
    user_file.write_text(
        'system = "Be brief."\nthink = true\nstop = ["a", "b"]\ntemperature = 0\n[run]\nmax_context = 512\n'
    )
    monkeypatch.setenv("GEMSMITH_THREADS", "2")
    ended = gemsmith_("run", "pebble", "hi", "--temperature", "0.5")
    assert (ended.code, ended.out) == (0, "2: hi\n")
    assert model.loaded == [("pebble", {"max_context": 512, "threads": 2})]
    assert model.asked[0][0][0].text == "Be brief."
    assert model.asked[0][1] == {"think": True, "temperature": 0.5, "stop": ["a", "b"]}


def test_a_mistyped_variable_is_told(gemsmith_, model, user_file, monkeypatch):
    monkeypatch.setenv("GEMSMITH_TEMPRATURE", "1")
    monkeypatch.setenv("GEMSMITH_OF_SOMEBODY_ELSES_PROGRAM", "1")
    ended = gemsmith_("run", "pebble", "hi")
    assert (ended.code, ended.out) == (0, "1: hi\n") and "temperature" not in model.asked[0][1]
    assert ended.err == "(GEMSMITH_TEMPRATURE means nothing to gemsmith; did you mean GEMSMITH_TEMPERATURE?)\n"


def test_a_flag_takes_back_what_a_file_says(gemsmith_, model, user_file):
    user_file.write_text('system = "Be brief."\nthink = true\nstop = "a"\n')
    gemsmith_("run", "pebble", "hi", "--no-think", "--stop", "b", "--stop", "c")
    assert model.asked[0][1] == {"think": False, "stop": ["b", "c"]}


def test_what_nobody_sets_is_the_models_own(gemsmith_, model):
    gemsmith_("run", "pebble", "hi")
    assert (model.loaded, model.asked[0][1]) == ([("pebble", {})], {"think": False})


def test_raw_text_minds_no_conversation_that_a_file_wants(gemsmith_, model, user_file):
    user_file.write_text('system = "Be brief."\nthink = true\n')
    assert gemsmith_("run", "pebble", "--raw", "Once").code == 0


def test_a_seed_of_another_kind_is_left_alone(gemsmith_, user_file, monkeypatch):
    """`eval --seed` says which examples are drawn; the setting is the sampler's."""
    user_file.write_text("seed = 7\n")
    seen = []
    monkeypatch.setattr("gemsmith.cli.eval.score", lambda args, abilities: seen.append(args.seed) or [])
    assert gemsmith_("eval", "pebble", "--json").code == 0
    assert seen == [0]


@pytest.mark.parametrize("setting", [each for each in (*LOADING, *SAMPLING) if each.kind in (int, float)])
def test_a_flag_out_of_its_range_is_told_before_anything_is_loaded(gemsmith_, model, setting):
    for text in (str(setting.high + 1), str(setting.low - 1), "many", "nan", "9" * 5000):
        ended = gemsmith_("run", "pebble", "hi", f"{setting.flag}={text}")
        assert (ended.code, ended.out, model.loaded) == (2, "", [])
        assert f"argument {setting.flag}: must be a" in ended.err and len(ended.err) < 300


def test_a_model_may_be_left_out_and_the_person_is_told_which_it_is(gemsmith_, model, user_file):
    ended = gemsmith_("run", stdin="hi\n")
    assert (ended.code, ended.out, ended.err) == (0, "1: hi\n", "(no MODEL given: pebble (default))\n")
    user_file.write_text('model = "tiny-random-e2b"\n')
    assert gemsmith_("run", stdin="hi\n").err == f"(no MODEL given: tiny-random-e2b ({user_file}: model))\n"
    assert [name for name, _ in model.loaded] == ["pebble", "tiny-random-e2b"]


def test_one_argument_is_the_model_and_never_the_prompt(gemsmith_, model, user_file):
    ended = gemsmith_("run", "What is 17 + 25?", stdin="hi\n")
    assert [name for name, _ in model.loaded] == ["What is 17 + 25?"] or "What is 17 + 25?" in ended.err
    assert not any(messages[-1].text == "What is 17 + 25?" for messages, _ in model.asked)


def test_a_project_that_names_a_model_starts_no_download(gemsmith_, model, user_file, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    seen = []
    load = model.load
    monkeypatch.setattr(
        "gemsmith.engine.load",
        lambda source, **options: seen.append(os.environ.get("HF_HUB_OFFLINE")) or load(source, **options),
    )
    user_file.with_name("gemsmith.toml").write_text('model = "tiny-random-e2b"\n')
    assert "a project's choice, so nothing is downloaded" in gemsmith_("run", stdin="hi\n").err
    gemsmith_("run", "tiny-random-e2b", stdin="hi\n")
    user_file.with_name("gemsmith.toml").unlink()
    user_file.write_text('model = "tiny-random-e2b"\n')
    gemsmith_("run", stdin="hi\n")
    assert seen == ["1", None, None]


def test_what_a_command_does_not_take_is_told(gemsmith_, user_file):
    user_file.write_text("temperature = 1\n[show]\ntemperature = 2\ncolor = 'never'\n")
    ended = gemsmith_("show", "tiny-random-e2b")
    assert ended.code == 0
    assert ended.err == f"({user_file} sets show.temperature, but `gemsmith show` takes no temperature)\n"


@pytest.mark.parametrize("argv", [("--help",), ("--version",), ("run", "--help")])
def test_help_is_there_when_settings_are_broken(gemsmith_, user_file, monkeypatch, argv):
    user_file.write_text("[[[")
    monkeypatch.setenv("GEMSMITH_TOP_K", "many")
    assert gemsmith_(*argv).code == 0


def test_a_broken_setting_ends_a_command_before_it_begins(gemsmith_, model, user_file):
    user_file.write_text("top_k = 'many'\n")
    ended = gemsmith_("run", "pebble", "hi")
    assert (ended.code, ended.out, model.loaded) == (1, "", [])
    assert ended.err.startswith(f"gemsmith: error: {user_file}:1: top_k must be")


@pytest.mark.parametrize("words, code", [(("--color", "always"), True), (("--color", "never"), False), ((), False)])
def test_color_is_asked_for_or_not(gemsmith_, model, monkeypatch, words, code):
    """A pipe has none, unless it is asked for."""
    monkeypatch.delenv("NO_COLOR")
    ended = gemsmith_("run", "pebble", "hi", "--think", *words)
    assert ("\x1b" in ended.err, ended.out) == (code, "1: hi\n")


flags = [setting.flag for setting in BY_KEY.values()] + ["--no-think", "--raw", "--json", "--debug", "-h", "-x", "--"]
words = st.sampled_from([*flags, "pebble", "1", "0.5", "nan", "-1", "cpu", "always"]) | st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), max_size=8
)


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(command=st.sampled_from(["run", "show"]), argv=st.lists(words, max_size=6))
def test_whatever_is_typed_there_is_an_answer_or_a_reason(gemsmith_, model, user_file, command, argv):
    """Never a traceback: 0, or a reason with exit code 1 (told by the command) or 2 (by the command line's reader)."""
    ended = gemsmith_(command, *argv, stdin="hi\n")
    assert ended.code in (0, 1, 2)
    assert ("gemsmith: error: " in ended.err) == (ended.code != 0)


def test_every_flag_says_what_it_is():
    for setting in BY_KEY.values():
        assert setting.help and setting.unset and (setting.metavar or setting.kind is bool)


def test_help_reads_no_settings_and_no_heavy_module():
    code = (
        "import sys; from gemsmith.cli.main import main; main(['run', '--help']);"
        " sys.exit(bool({'tomllib', 'platformdirs', 'numpy'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0
