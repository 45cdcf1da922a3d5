"""Settings files: the user's own, and a project's `gemsmith.toml`, which may be a stranger's.

    model = "e2b"          # for every command that takes it
    temperature = 0.7

    [batch]                # for `gemsmith batch`, over what stands above
    temperature = 0

Only small regular files are read. A project's file sets what the model is asked and how it is loaded, names a model or
a path inside the project, and nothing else: it opens no connection and writes no file.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gemsmith.cli.settings.claim import Claim
from gemsmith.cli.settings.table import BY_KEY
from gemsmith.cli.settings.values import checked
from gemsmith.errors import SettingError

PROJECT_FILE = "gemsmith.toml"
MAX_BYTES = 64 << 10
MAX_ENTRIES = 1000  # every setting for every command is a few hundred

# The TOML reader takes time that grows with the square of a dotted key's length, and a setting has one dot. What stands
# in strings and comments is left out first, so that words do not count.
STRING = re.compile(
    r'''"""(?s:\\.|(?!""").)*+"{0,5}|'''
    r"'''(?s:(?!''').)*+'{0,5}|"
    r""""(?:[^"\\\n]|\\.)*+"?|'[^'\n]*+'?|#[^\n]*+"""
)
LONG_KEY = re.compile(r"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){32}")

Complain = Callable[[SettingError], None]  # raises it, or notes it and goes on


@dataclass(frozen=True)
class SettingsFile:
    """A file that was read: its text, and what TOML makes of it."""

    path: Path
    of_project: bool
    text: str
    content: dict[str, Any]

    @cached_property
    def lines(self) -> dict[tuple[str, str], int]:
        """(table, key) -> line, as far as that is plain to see: the TOML reader keeps no lines. Tables are keys too."""
        found: dict[tuple[str, str], int] = {}
        table = ""
        for number, whole in enumerate(self.text.splitlines(), start=1):
            line = whole[:80]
            if header := re.match(r"""\s*\[+\s*["']?([^]"']*?)["']?\s*\]""", line):
                table = header[1]
                found.setdefault(("", table), number)
            elif key := re.match(r"""\s*["']?([^]["'=.]*?)["']?\s*[=.]""", line):
                found.setdefault((table, key[1]), number)
        return found


def find_project_file(start: Path, home: Path | None) -> Path | None:
    """`gemsmith.toml` in `start` or the nearest folder above it, up to the top of its repository or the home folder."""
    return next((path for path in project_files(start, home) if not is_planted(path)), None)


def project_files(start: Path, home: Path | None) -> Iterator[Path]:
    """All files of that name on the way up, nearest first."""
    home_folder = None if home is None else Path(os.path.realpath(home))
    for folder in (start, *start.parents):
        if os.path.lexists(path := folder / PROJECT_FILE):
            yield path
        if folder == home_folder or os.path.lexists(folder / ".git"):
            return


def is_planted(path: Path) -> bool:
    """Whether somebody else put `path` into a folder that everyone may write to, such as /tmp."""
    if os.name != "posix":
        return False
    try:
        folder, file = os.stat(path.parent), os.lstat(path)
    except OSError:
        return True  # gone, or not for us to see
    return bool(folder.st_mode & stat.S_IWOTH) and file.st_uid not in (os.geteuid(), 0)


def read(path: Path, of_project: bool) -> SettingsFile | None:
    """The file, or None where there is none; SettingError where it cannot be read or is no TOML."""
    if not os.path.lexists(path):
        return None
    import tomllib

    from gemsmith.files import read_bytes

    data = read_bytes(path, MAX_BYTES, SettingError)
    try:
        text = data.decode("utf-8-sig")
        if LONG_KEY.search(STRING.sub("s", text)):
            raise RecursionError
        content = tomllib.loads(text)
    except UnicodeDecodeError as cause:
        raise SettingError(f"{path} is not UTF-8 text (byte {cause.start}); save it as UTF-8") from cause
    except RecursionError as cause:
        raise SettingError(f"{path} nests too deeply; settings are KEY = VALUE, and tables [COMMAND]") from cause
    except ValueError as cause:  # TOMLDecodeError, or a number of thousands of digits
        raise SettingError(f"{path} is not TOML: {cause}") from cause
    if (count := sum(1 + (len(value) if isinstance(value, dict) else 0) for value in content.values())) > MAX_ENTRIES:
        raise SettingError(f"{path} has {count} entries, and there are {len(BY_KEY)} settings; is it the right file?")
    return SettingsFile(path, of_project, text, content)


def claims(file: SettingsFile, command: str, commands: Collection[str], complain: Complain) -> Iterator[Claim]:
    """What `file` sets for `command`, strongest first; what it says for other commands is checked all the same."""
    tables = {key: value for key, value in file.content.items() if isinstance(value, dict) and key not in BY_KEY}
    for name, table in tables.items():
        if name not in commands:
            complain(_unknown(file, name, "", [*commands], "command"))
        else:
            found = list(_table_claims(file, table, name, complain))
            yield from found if name == command else ()
    yield from _table_claims(file, {key: v for key, v in file.content.items() if key not in tables}, "", complain)


def _table_claims(file: SettingsFile, table: dict[str, Any], name: str, complain: Complain) -> Iterator[Claim]:
    for key, value in table.items():
        try:
            found = _value(file, key, value, name)
        except SettingError as error:
            complain(error)
        else:
            kind: Any = "project file" if file.of_project else "user file"
            yield Claim(key, found, kind, str(file.path), f"{name}.{key}" if name else key)


def _value(file: SettingsFile, key: str, value: Any, table: str) -> Any:
    """A key's value, checked; SettingError that says where."""
    if key not in BY_KEY:
        raise _unknown(file, key, table, [*BY_KEY], "setting")
    setting = BY_KEY[key]
    if file.of_project and not setting.by_project:
        raise SettingError(
            f"{place(file, key, table)}: a project's file may not set {key}; set it in your own file, in the"
            f" environment ({setting.variable}), or type {setting.flag}"
        )
    try:
        return _model(file, checked(setting, value)) if key == "model" else checked(setting, value)
    except SettingError as error:
        raise SettingError(f"{place(file, key, table)}: {key} {error}") from None


def _model(file: SettingsFile, model: str) -> str:
    """A name as it is; a path, which is meant from the file's own folder, whole."""
    folder = os.path.realpath(file.path.parent)
    if not file.of_project:
        whole = os.path.expanduser(model)
        return os.path.normpath(os.path.join(folder, whole)) if whole.startswith(".") else whole
    inside = os.path.realpath(os.path.join(folder, model))
    is_path = model[0] in "./~" or "\\" in model or os.path.isabs(model) or ".." in model.split("/")
    if not is_path and not os.path.lexists(inside):
        return model
    if not Path(inside).is_relative_to(folder):
        raise SettingError(f"must be a name, or a path inside {folder}, found {model[:200]!r}")
    return inside


def _unknown(file: SettingsFile, key: str, table: str, known: list[str], what: str) -> SettingError:
    from gemsmith.cli.main import nearest

    shown = (repr if key.isprintable() else ascii)(key[:60])
    return SettingError(f"{place(file, key, table)}: there is no {what} {shown}{nearest(key[:60], known)}")


def place(file: SettingsFile, key: str, table: str) -> str:
    """PATH:LINE of a key, or PATH where its line is not plain to see."""
    line = file.lines.get((table, key))
    return f"{file.path}:{line}" if line else f"{file.path}"
