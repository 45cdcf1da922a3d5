"""What is typed: the reference of the command line without its title, and the commands of the chat at a terminal."""

from __future__ import annotations

from docs.parts.family import table
from gemsmith.cli import reference
from gemsmith.cli.chat.commands import COMMANDS


def markdown() -> str:
    """Everything about every command, and all settings."""
    title, _, rest = reference.markdown().partition("\n")
    assert title.startswith("# ")
    return rest


def in_a_chat() -> str:
    """The lines that begin with a slash."""
    rows = [
        [f"`/{name} {command.takes}`".replace(" `", "`").replace("|", "\\|"), command.help]
        for name, command in COMMANDS.items()
        if command.help
    ]
    return table(["type", "to"], rows, "ll")
