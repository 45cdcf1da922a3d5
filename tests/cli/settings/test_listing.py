"""`gemsmith show --config`: every value, where it came from, and all that is wrong."""

from __future__ import annotations

import json

from gemsmith.cli import folders
from gemsmith.cli.settings.table import BY_KEY


def test_the_listing_says_where_each_value_came_from(place, gemsmith_, monkeypatch):
    user = place.user_file("top_k = 1\n[run]\nmax_tokens = 9\n")
    mine = place.project_file("top_k = 2\nsystem = 'Be brief.'\n")
    monkeypatch.setenv("GEMSMITH_TOP_K", "3")
    monkeypatch.setenv("GEMSMITH_TEMPRATURE", "3")
    ended = gemsmith_("show", "--config", "--color", "never")
    assert ended.code == 0
    lines = ended.out.splitlines()
    at = lines.index(f"  {'top_k':<21} {'3':<25} GEMSMITH_TOP_K")
    assert lines[at + 1 : at + 3] == [f"      over 2 from {mine}: top_k", f"      over 1 from {user}: top_k"]
    assert f"  {'color':<21} {'never':<25} --color".replace("never  ", '"never"') in lines
    assert f"  {'threads':<21} {'all that are allowed':<25} default" in lines
    assert f'  {"system":<21} "Be brief."\n      from {mine}: system' in ended.out
    assert f"for gemsmith run alone\n  {'max_tokens':<21} 9\n      from {user}: run.max_tokens" in ended.out
    assert f"  {mine}  (project file, read)\n  {user}  (user file, read)" in ended.out
    assert ended.err == (
        "gemsmith: warning: GEMSMITH_TEMPRATURE means nothing to gemsmith; did you mean GEMSMITH_TEMPERATURE?\n"
    )


def test_the_listing_as_json(place, gemsmith_, monkeypatch):
    user = place.user_file("top_k = 1\n[run]\nmax_tokens = 9\n")
    monkeypatch.setenv("GEMSMITH_TOP_K", "3")
    ended = gemsmith_("show", "--config", "--json")
    facts = json.loads(ended.out)
    assert facts["settings"].keys() == BY_KEY.keys()
    assert facts["settings"]["top_k"] == {
        "value": 3,
        "kind": "environment",
        "where": "GEMSMITH_TOP_K",
        "overrides": [{"value": 1, "kind": "user file", "where": str(user), "key": "top_k"}],
    }
    assert facts["commands"]["run"]["max_tokens"]["key"] == "run.max_tokens"
    assert facts["settings"]["model"] == {"value": "pebble", "kind": "default", "where": "default", "overrides": []}
    assert (ended.code, ended.err, facts["problems"]) == (0, "", [])


def test_the_listing_says_that_there_is_no_home(gemsmith_, place, monkeypatch):
    monkeypatch.setattr("gemsmith.cli.folders.config_file", lambda: folders.NOWHERE / "gemsmith" / "config.toml")
    ended = gemsmith_("show", "--config")
    assert (ended.code, ended.err) == (0, "") and "there is no home folder to look in" in ended.out


def test_the_listing_needs_no_files(gemsmith_, place):
    ended = gemsmith_("show", "--config")
    assert (ended.code, ended.err) == (0, "")
    assert all(f"  {key} " in ended.out for key in BY_KEY)
    assert max(map(len, ended.out.partition("\nfiles")[0].splitlines())) <= 80


def test_the_listing_tells_everything_that_is_wrong(place, gemsmith_, monkeypatch):
    place.user_file("top_k = -1\nfoo = 1\n")
    place.project_file("offline = false\n[eval]\ntemperature = 1\n")
    monkeypatch.setenv("GEMSMITH_TOP_P", "7")
    ended = gemsmith_("show", "--config")
    assert ended.code == 1
    assert ended.err.count("gemsmith: error: ") == 4
    assert "warning" in ended.err and "`gemsmith eval` takes no temperature" in ended.err
    assert "threads" in ended.out, "what is right is still shown"


def test_the_listing_keeps_secrets_and_harmful_characters(place, gemsmith_, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_hunter2")
    monkeypatch.setenv("HF_ENDPOINT", "https://me:hunter2@hub.example/")
    place.user_file('system = "\\u001b]0;x\\u0007"')
    for argv in (("--json",), ()):
        ended = gemsmith_("show", "--config", *argv, terminal=True)
        assert "hunter2" not in ended.out
        assert "HF_TOKEN" in ended.out and "https://(not shown)@hub.example/" in ended.out
        assert "\x1b" not in ended.out and "\x07" not in ended.out


def test_show_without_anything_explains_itself(gemsmith_):
    ended = gemsmith_("show")
    assert (ended.code, ended.out) == (2, "")
    assert "name a model to show, or give --config" in ended.err
    assert gemsmith_("show", "e2b", "--config").code == 2
