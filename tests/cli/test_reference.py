"""The generated page has every command, argument, flag, setting and example, and does not depend on who builds it."""

from __future__ import annotations

import argparse

import pytest

from gemsmith.cli.main import COMMANDS, command_parser
from gemsmith.cli.reference import escaped, markdown
from gemsmith.cli.settings.environment import VARIABLES
from gemsmith.cli.settings.table import SETTINGS


@pytest.fixture(scope="module")
def sections():
    """The page's sections by their titles."""
    return {part.partition("\n")[0]: part for part in markdown().split("\n## ")}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_argument_of_every_command_is_there_with_its_help(sections, command):
    section = sections[f"gemsmith {command}"]
    for action in command_parser(command)._actions:
        if action.help == argparse.SUPPRESS:
            continue
        word = action.option_strings[0] if action.option_strings else action.metavar
        (line,) = [line for line in section.splitlines() if line.startswith((f"- `{word}`", f"- `{word} "))]
        assert len(line.partition(": ")[2]) > 5, "no help"
    assert f"usage: gemsmith {command}" in section
    assert f"  gemsmith {command} " in section.partition("examples:")[2] or "| gemsmith" in section


def test_a_flag_that_is_a_setting_says_where_else_it_can_be_set(sections):
    assert "(`GEMSMITH_TOP_K`, key `top_k`)" in sections["gemsmith run"]
    assert "`GEMSMITH_SEED`" in sections["gemsmith run"]
    assert "`GEMSMITH_SEED`" not in sections["gemsmith eval"], "--seed of eval is another one"


def test_every_setting_and_variable_is_there(sections):
    rows = [line for line in sections["Settings"].splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [setting.key for setting in SETTINGS]
    assert all(row.count("|") == 7 for row in rows)
    assert all(f"| `{name}` |" in sections["Environment"] for name in VARIABLES)
    assert "`plain`, `history`, `offline` and `color`" in sections["Settings"]


def test_exit_codes_are_told(sections):
    assert "130 stopped with Ctrl-C" in sections["Exit codes"]


def test_fences_are_closed_and_the_width_of_the_terminal_does_not_matter(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    wide = markdown()
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert markdown() == wide
    assert wide.count("\n```") % 2 == 0 and "\x1b" not in wide


def test_plain_text_stays_plain():
    assert escaped("a_b <c> *d* `e_f` [g]") == r"a\_b \<c> \*d\* `e_f` \[g\]"
