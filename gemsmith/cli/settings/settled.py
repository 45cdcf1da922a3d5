"""Which of all that is set holds: flags over environment over project file over user file over defaults."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gemsmith.cli import folders
from gemsmith.cli.settings import environment, files
from gemsmith.cli.settings.claim import Claim
from gemsmith.cli.settings.files import Complain, SettingsFile
from gemsmith.cli.settings.table import BY_KEY
from gemsmith.errors import GemsmithError, SettingError


@dataclass
class Settled:
    """All claims for one command, strongest first, and what was wrong with the places they come from."""

    command: str = ""
    claims: list[Claim] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)  # those that were read
    problems: list[SettingError] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)  # what a person should be told before the command starts

    def of(self, key: str) -> list[Claim]:
        """The claims for a key: the first holds, the others yield to it."""
        return [claim for claim in self.claims if claim.key == key]

    def value(self, key: str) -> Any:
        """What holds; the table's default where nobody claims anything, which may be None."""
        return next((claim.value for claim in self.of(key)), BY_KEY[key].default)

    def source(self, key: str) -> str:
        """Where the value comes from, in words."""
        return next((str(claim) for claim in self.of(key)), "default")

    def keeps_a_project_offline(self) -> bool:
        """Go offline if a project's file names the model: to start a download takes a person's own words."""
        claim = next(iter(self.of("model")), None)
        if claim is None or claim.kind != "project file":
            return False
        num_flags = sum(each.kind == "flag" for each in self.claims)  # they come first, and --no-offline wins
        self.claims.insert(num_flags, Claim("offline", True, claim.kind, claim.where, claim.path))
        return bool(self.value("offline"))

    def check(self) -> None:
        """SettingError if anything was wrong."""
        if self.problems:
            raise self.problems[0]


def settle(
    command: str, flags: Mapping[str, Any], environ: Mapping[str, str] | None = None, start: Path | None = None
) -> Settled:
    """Ask every place that can set something for `command`; `start` is the working folder."""
    environ = os.environ if environ is None else environ
    settled = Settled(command)
    complain = settled.problems.append
    settled.claims += [Claim(key, value, "flag", BY_KEY[key].flag) for key, value in flags.items()]
    settled.claims += environment.claims(environ, complain)
    for file in settings_files(start, complain):
        settled.files.append(file.path)
        settled.claims += files.claims(file, command, _commands(), complain)
    settled.claims += environment.weak_claims(environ)
    return settled


def settings_files(start: Path | None, complain: Complain) -> Iterator[SettingsFile]:
    """The files there are: a project's, then the user's own."""
    for of_project in (True, False):
        try:
            path = _project_file(start) if of_project else folders.config_file()
            if path is not None and (file := files.read(path, of_project)):
                yield file
        except GemsmithError as error:
            complain(error if isinstance(error, SettingError) else SettingError(str(error)))


def _project_file(start: Path | None) -> Path | None:
    with suppress(OSError):  # a working folder that was deleted
        return files.find_project_file(start or Path.cwd(), folders.home())
    return None


def _commands() -> Collection[str]:
    from gemsmith.cli.main import COMMANDS

    return COMMANDS


@contextmanager
def in_force(settled: Settled) -> Iterator[None]:
    """While a command runs, the variables that libraries and our own output heed say what was settled."""
    wanted = _variables(settled)
    before = {name: os.environ.get(name) for name in wanted}
    _set_variables(wanted)
    try:
        yield
    finally:
        _set_variables(before)


def _variables(settled: Settled) -> dict[str, str | None]:
    """Variables to set, or with None to unset."""
    found: dict[str, str | None] = {}
    if settled.of("offline"):
        found |= dict.fromkeys(environment.OFFLINE, "1" if settled.value("offline") else None)
    if settled.value("color") == "never":
        found |= {"NO_COLOR": "1", "FORCE_COLOR": None}
    if settled.value("color") == "always":
        found |= {"NO_COLOR": None, "FORCE_COLOR": "1"}
    return found


def _set_variables(wanted: Mapping[str, str | None]) -> None:
    for name, value in wanted.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
