"""A working folder at the top of a repository, and the settings files that a test writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from gemsmith.cli.settings.settled import settle


@dataclass(frozen=True)
class Place:
    """Where a command is typed: `project` is the working folder, `home` the one of GEMSMITH_HOME."""

    project: Path
    home: Path

    def user_file(self, text: str = "") -> Path:
        """Write the user's own settings."""
        return write(self.home / "config.toml", text)

    def project_file(self, text: str = "") -> Path:
        """Write the project's settings."""
        return write(self.project / "gemsmith.toml", text)

    def value(self, key: str) -> object:
        """What holds for `gemsmith run`."""
        return settle("run", {}).value(key)

    def problems(self) -> list[str]:
        """What `gemsmith run` would say is wrong."""
        return [str(problem) for problem in settle("run", {}).problems]


def write(path: Path, text: str) -> Path:
    """Write a file, and return where it is."""
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    """Two empty folders, and an environment that sets nothing."""
    place = Place(tmp_path / "project", tmp_path / "home")
    place.home.mkdir()
    (place.project / ".git").mkdir(parents=True)
    monkeypatch.setenv("GEMSMITH_HOME", str(place.home))
    for name in ("NO_COLOR", "FORCE_COLOR", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(place.project)
    return place
