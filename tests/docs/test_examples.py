"""The examples of every page run and print what the page shows, in a folder and with settings of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.docs.pages import PAGES
from tests.house.fences import blocks, check_command, check_session, commands

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def no_settings_of_the_person_who_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GEMSMITH_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p.read_text("utf-8"))], ids=lambda page: page.stem)
def test_commands_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    """All commands of a page, in order and in one folder, since later ones use what earlier ones made."""
    folder = tmp_path / "here"
    folder.mkdir()
    own = {"GEMSMITH_HOME": str(tmp_path / "home"), "HF_HOME": str(tmp_path / "hub"), "COLUMNS": "80"}
    for shown in commands(page.read_text("utf-8")):
        check_command(shown, folder, **own)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p.read_text("utf-8"), "pycon")], ids=lambda p: p.stem)
def test_session_prints_what_the_page_shows(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert check_session(page.read_text("utf-8"), page.name)
