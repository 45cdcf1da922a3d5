"""What Tab offers: commands, their arguments, names of files and of saved conversations. Knows no terminal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from gemsmith.cli import conversations
from gemsmith.cli.chat.commands import COMMANDS
from gemsmith.cli.settings.table import SAMPLING

TAKES_FILE = ("file", "image", "pdf", "audio", "video", "load", "save", "tools")
MOST = 200


class Choice(NamedTuple):
    """A text that may stand in place of the last `length` characters before the cursor."""

    text: str
    length: int
    about: str = ""


def choices(before: str) -> Iterator[Choice]:
    """What may stand at the end of the line `before`."""
    if not before.startswith("/") or "\n" in before:
        return
    name, space, typed = before[1:].partition(" ")
    if not space:
        for known, command in COMMANDS.items():
            if known.startswith(name) and command.help:
                yield Choice(f"/{known}", len(before), command.help)
        return
    for word in words(name):
        if word.startswith(typed):
            yield Choice(word, len(typed))
    if name in TAKES_FILE:
        yield from paths(typed)


def words(name: str) -> list[str]:
    """The arguments of a command that have a name."""
    if name == "set":
        return [setting.key for setting in SAMPLING]
    if name in ("load", "save"):
        return conversations.names()
    return {"think": ["on", "off"], "system": ["off"], "tools": ["off"]}.get(name, [])


def paths(typed: str) -> Iterator[Choice]:
    """Files and folders that begin like this. Names that a terminal cannot show are left out."""
    folder, start = os.path.split(typed)
    try:
        with os.scandir(os.path.expanduser(folder) or ".") as entries:
            found = sorted((entry.name, entry.is_dir()) for entry in entries if entry.name.startswith(start))
    except (OSError, ValueError):
        return
    for name, is_folder in found[:MOST]:
        if name.isprintable() and (start.startswith(".") or not name.startswith(".")):
            yield Choice(name + "/" * is_folder, len(start))
