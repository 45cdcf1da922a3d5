"""Settings files: where they are looked for, what they may hold, and what a stranger's may not."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from gemsmith.cli.settings import files
from gemsmith.cli.settings.settled import settle
from gemsmith.cli.settings.table import PROGRAM
from gemsmith.errors import SettingError

from .conftest import write


def test_the_nearest_project_file_is_taken(place, monkeypatch):
    deep = place.project / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    place.project_file("top_k = 1\n")
    assert place.value("top_k") == 1
    write(place.project / "a" / "gemsmith.toml", "top_k = 2\n")
    assert place.value("top_k") == 2


def test_no_project_file_above_the_repository_or_the_home_folder(place, monkeypatch):
    above = write(place.project.parent / "gemsmith.toml", "top_k = 1\n")
    assert place.value("top_k") is None
    (place.project / ".git").rmdir()
    assert place.value("top_k") == 1
    monkeypatch.setenv("HOME", str(place.project))
    assert place.value("top_k") is None
    assert above.exists()


def test_a_working_folder_that_is_gone_has_no_project(place, monkeypatch):
    place.user_file("top_k = 1\n")
    gone = place.project / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert place.value("top_k") == 1


@pytest.mark.skipif(os.name != "posix", reason="no owners")
@pytest.mark.parametrize("mode", [0o1777, 0o777], ids=oct)
def test_a_file_that_somebody_else_put_into_a_shared_folder_is_not_taken(mode, place, monkeypatch):
    """Another user's gemsmith.toml in a folder for everyone does not speak for those who work below it."""
    (place.project / ".git").rmdir()
    path = write(place.project.parent / "gemsmith.toml", "top_k = 1\n")
    path.parent.chmod(mode)
    assert place.value("top_k") == 1, "one's own is"
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert files.is_planted(path)
    assert place.value("top_k") is None
    path.parent.chmod(0o755)
    assert place.value("top_k") == 1, "nobody else can write there"


WRONG = {
    "tempratur = 1": ":2: there is no setting 'tempratur'; did you mean 'temperature'?",
    "[rnu]\ntop_k = 1": ":2: there is no command 'rnu'; did you mean 'run'?",
    "[run]\ntopk = 1": ":3: there is no setting 'topk'; did you mean 'top_k'?",
    "top_k = 0.5": ":2: top_k must be a whole number from 0 to 16777216, found 0.5",
    "top_k = true": ":2: top_k must be a whole number from 0 to 16777216, found True",
    "top_k = -1": ":2: top_k must be a whole number from 0 to 16777216, found -1",
    "temperature = nan": ":2: temperature must be a number from 0 to 1000, found nan",
    "temperature = 1979-05-27": ":2: temperature must be a number from 0 to 1000, found datetime.date(1979, 5, 27)",
    "think = 1": ":2: think must be true or false, found 1",
    "color = 'red'": ":2: color must be auto, always or never, found 'red'",
    "stop = [1]": ":2: stop must be a text, or a list of up to 16, found [1]",
    "stop = ['']": ":2: stop must be a text, or a list of up to 16, found ['']",
    'model = "a\\u0000b"': ":2: model must be a name, found 'a\\x00b'",
    "[model]\nname = 'x'": ":2: model must be a name, found a table",
    "run = 1": ":2: there is no setting 'run'",
    "top_k": " is not TOML: Expected '=' after a key in a key/value pair (at line 2, column 6)",
    "top_k = 1\ntop_k = 2": " is not TOML: Cannot overwrite a value",
    f"top_k = {'9' * 5000}": " is not TOML: ",
    f"top_k = {'[' * 20000}": " nests too deeply",
    f"{'a.' * 20000}a = 1": " nests too deeply",
    f"""{'" " . ' * 9000}a = 1""": " nests too deeply",
    "\n".join(f"k{i} = 1" for i in range(1001)): " has 1001 entries, and there are ",
    f"""x = {{a = \'\'\'" \'\'\', {'"a".' * 9000}a = 1}}""": " nests too deeply",
}


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:20])
def test_what_is_wrong_names_file_line_key_and_what_is_known(place, text):
    path = place.user_file(f"# mine\n{text}\n")
    (problem,) = place.problems()
    assert problem.startswith(f"{path}{WRONG[text]}")
    assert len(problem) < 1000 and "\x00" not in problem
    with pytest.raises(SettingError):
        settle("run", {}).check()


def test_a_line_is_named_where_it_is(place):
    path = place.user_file('system = """\ntop_k = 1"""\n[run]\n"top_k" = -1\n[eval]\ntop_k = -2\n')
    assert [problem.partition(": ")[0] for problem in place.problems()] == [f"{path}:4", f"{path}:6"]


def test_a_mark_of_byte_order_is_no_mistake(place):
    place.user_file("\ufefftop_k = 1\r\n")
    assert place.value("top_k") == 1


def test_bytes_that_are_no_text_are_told(place):
    place.user_file().write_bytes(b"system = '\xff'")
    assert "config.toml is not UTF-8 text (byte 10)" in place.problems()[0]


def big(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


STRANGE = {
    "folder": (Path.mkdir, "not a regular file"),
    "1 GB": (big, "has 1073741824 bytes"),
    "pipe": (lambda path: os.mkfifo(path), "not a regular file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    "loop": (lambda path: path.symlink_to(path.name), "cannot open"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "cannot open"),
}


@pytest.mark.skipif(os.name != "posix", reason="no pipes")
@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize("whose", ["project", "user"])
def test_what_is_no_small_file_is_refused_without_waiting(place, kind, whose):
    path = place.project / "gemsmith.toml" if whose == "project" else place.home / "config.toml"
    make, reason = STRANGE[kind]
    make(path)
    (problem,) = place.problems()
    assert str(path) in problem and reason in problem


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_told(place):
    path = place.user_file("top_k = 1")
    path.chmod(0)
    assert "Permission denied" in place.problems()[0]
    path.chmod(stat.S_IRUSR)


@pytest.mark.parametrize("setting", PROGRAM, ids=lambda setting: setting.key)
def test_a_project_may_not_say_what_the_program_does_with_this_machine(place, setting):
    value = json.dumps(setting.choices[0] if setting.choices else setting.default)
    path = place.project_file(f"{setting.key} = {value}\n")
    assert place.problems()[0].startswith(
        f"{path}:1: a project's file may not set {setting.key}; set it in your own file"
    )
    assert setting.flag in place.problems()[0] and setting.variable in place.problems()[0]


@pytest.mark.parametrize(
    "model",
    ["/etc", "../other", "~/model", "a/../../other", "out", "./nothing/../../x", "C:\\model", "\\\\host\\share"],
)
def test_a_project_names_no_model_outside_itself(place, model):
    (place.project / "out").symlink_to(place.project.parent)
    (place.project.parent / "other").mkdir()
    path = place.project_file(f"model = {json.dumps(model)}\n")
    settled = settle("run", {})
    inside = settled.value("model").startswith(f"{place.project.resolve()}{os.sep}")
    assert inside or place.problems()[0].startswith(
        f"{path}:1: model must be a name, or a path inside {place.project.resolve()}"
    )


@pytest.mark.parametrize("model", ["e2b", "google/gemma-4-E2B-it", "gemma4:e2b", "repo/name:Q4_0"])
def test_a_project_may_name_a_model(place, model):
    place.project_file(f"model = {json.dumps(model)}\n")
    assert (place.value("model"), place.problems()) == (model, [])


def test_a_projects_path_is_meant_from_its_own_folder(place, monkeypatch):
    (place.project / "models" / "mine").mkdir(parents=True)
    monkeypatch.chdir(place.project / "models")
    for model in ("./models/mine", "models/mine"):
        place.project_file(f"model = {json.dumps(model)}\n")
        assert place.value("model") == str(place.project.resolve() / "models" / "mine")


def test_a_users_path_may_lead_anywhere(place, monkeypatch):
    monkeypatch.setenv("HOME", str(place.project.parent))
    for model, meant in {"~/m": place.project.parent / "m", "./m": place.home / "m", "e2b": "e2b"}.items():
        place.user_file(f"model = {json.dumps(model)}\n")
        assert place.value("model") == str(meant)
