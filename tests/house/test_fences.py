"""The runner of documented examples finds what pages show, and fails where something else comes out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.fences import Shown, check_command, check_session, commands, same

PAGE = """\
```console
$ echo one; echo two  # a remark
one
...
$ true
```
```pycon
>>> 1 + 1
2
```
"""


def test_commands_are_found_with_their_output() -> None:
    assert commands(PAGE) == [Shown("echo one; echo two", "one\n...\n"), Shown("true", "")]


def test_dots_stand_for_anything_and_nothing_else_does() -> None:
    assert same("a ... c\n", "a b\nb c")
    assert not same("a . c", "a b c")
    assert not same("a", "a\nb")


def test_a_command_that_prints_what_is_shown_passes(tmp_path: Path) -> None:
    check_command(Shown("echo $PLACE", "here"), tmp_path, PLACE="here")


@pytest.mark.parametrize("shown", [Shown("echo two", "one"), Shown("echo one; false", "one")], ids=["output", "code"])
def test_a_command_that_does_not_fails(shown: Shown, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        check_command(shown, tmp_path)


def test_a_session_that_prints_something_else_fails() -> None:
    assert check_session(PAGE, "page") == 1
    with pytest.raises(AssertionError):
        check_session(PAGE.replace("\n2\n", "\n3\n"), "page")
