"""`gemsmith eval`: a table or JSON, from a model that always answers the same."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

import gemsmith.engine
from gemsmith.chat.values import Message, Text
from gemsmith.data.curriculum import ABILITIES


class Mute:
    """Never right."""

    def chat(self, messages, **options):
        assert options["temperature"] == 0
        return Message("assistant", (Text("no idea"),))


@pytest.fixture(autouse=True)
def mute(monkeypatch):
    monkeypatch.setattr(gemsmith.engine, "load", lambda source, **options: Mute())


def test_a_line_for_every_ability(gemsmith_):
    ended = gemsmith_("eval", "pebble", "--n", "2")
    assert (ended.code, ended.err) == (0, "")
    head, *lines = ended.out.splitlines()
    assert head.split() == ["ability", "n", "correct", "percent"]
    assert [line.split() for line in lines] == [[name, "2", "0", "0.0"] for name in ABILITIES]


def test_json_names_the_failures(gemsmith_):
    rows = json.loads(gemsmith_("eval", "pebble", "--n", "3", "--ability", ABILITIES[0], "--json").out)
    assert [(row["ability"], row["n"], row["correct"]) for row in rows] == [(ABILITIES[0], 3, 0)]
    assert rows[0]["failures"][0]["got"] == "no idea"


def test_failures_are_listed_when_asked(gemsmith_):
    out = gemsmith_("eval", "pebble", "--n", "1", "--ability", ABILITIES[0], "--failures").out
    assert "got    no idea" in out


def test_the_helps_examples_name_abilities_that_exist(gemsmith_):
    words = gemsmith_("eval", "--help").out.partition("examples:")[2].split()
    named = [after for word, after in pairwise(words) if word == "--ability"]
    assert named and set(named) <= set(ABILITIES)


def test_an_ability_named_twice_is_scored_once(gemsmith_):
    twice = ("--ability", ABILITIES[0]) * 2
    assert len(json.loads(gemsmith_("eval", "pebble", "--n", "1", *twice, "--json").out)) == 1


def test_an_unknown_ability_lists_them_all(gemsmith_):
    ended = gemsmith_("eval", "pebble", "--ability", "flying")
    assert (ended.code, ended.out) == (1, "")
    assert all(name in ended.err for name in ("flying", *ABILITIES))


@pytest.mark.parametrize("option", ["--n", "--workers"])
def test_nothing_to_do_is_a_usage_error(gemsmith_, option):
    assert gemsmith_("eval", "pebble", option, "0").code == 2
