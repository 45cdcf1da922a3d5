"""The command line as a page of Markdown, made from the parsers and the table of settings; nothing is written twice."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator

from gemsmith.cli.main import COMMANDS, EXAMPLES, command_parser, front_parser
from gemsmith.cli.settings.environment import VARIABLES
from gemsmith.cli.settings.files import PROJECT_FILE
from gemsmith.cli.settings.table import BY_KEY, SETTINGS
from gemsmith.cli.settings.values import wanted

WIDTH = 80

SETTLED = f"""\
A setting can stand in five places. The first that has it wins:

1. its flag on the command line;
2. its environment variable, `GEMSMITH_` and its key in capitals (an empty one sets nothing);
3. `{PROJECT_FILE}` in the working folder or the nearest folder above it, up to the top of the repository or your home;
4. your own file, `config.toml` in this system's folder for settings (`gemsmith show --config` says where that is);
5. the default.

Files are TOML. What stands in a table `[COMMAND]` holds for that command, over what stands above it in the same file:

```toml
model = "e2b"
temperature = 0.7

[batch]
temperature = 0
```

A path in a file is meant from the file's own folder. A project's file may be a stranger's, so it sets only what a model
is asked and how it is loaded: it names a model or a path inside the project, a model that it names is not downloaded,
and it cannot touch {{own}}. A key or a value that cannot be is an error
that names the file, the line and what would do.

`gemsmith show --config` prints every setting, its value, where it came from and what it won over.
"""


def markdown() -> str:
    """The whole page."""
    return "\n".join(page()) + "\n"


def page() -> Iterator[str]:
    """The page's lines."""
    yield from ("# The command line", "", "```text", help_of(front_parser()), "```", "")
    for name in COMMANDS:
        yield from section(name, command_parser(name))
    yield from ("## Settings", "", SETTLED.replace("{own}", own_keys()))
    yield from settings_table()
    yield from ("", "## Environment", "", "Besides the settings' own variables, these are heeded.", "")
    yield from (
        "| variable | meaning |",
        "|---|---|",
        *(f"| `{name}` | {cell(text)} |" for name, text in VARIABLES.items()),
    )
    yield from ("", "## Exit codes", "", exit_codes())


def section(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    """One command: what it does, how it is called, what each word means, examples."""
    description, usage = parser.description or "", formatted(parser, parser.format_usage)
    yield from (f"## gemsmith {name}", "", escaped(description), "", "```text", usage, "```", "")
    for group in parser._action_groups:  # argparse has no public list of what it was given
        actions = [action for action in group._group_actions if action.help != argparse.SUPPRESS]
        if actions:
            yield from (f"**{(group.title or '').capitalize()}**", "")
            if group.description:
                yield from (escaped(group.description), "")
            yield from (entry(parser, action) for action in actions)
            yield ""
    if parser.epilog:
        yield from ("```text", parser.epilog.strip(), "```", "")


def entry(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """An argument or a flag: `--top-k K`: what it means; variable, key."""
    formatter = parser._get_formatter()
    if action.option_strings:
        value = "" if action.nargs == 0 else " " + formatter._format_args(action, action.dest.upper())
        word = ", ".join(f"`{flag}{value}`" for flag in action.option_strings)
    else:
        word = f"`{action.metavar or action.dest.upper()}`"
    text = escaped(formatter._expand_help(action)) if action.help else ""
    return f"- {word}: {text}{also(parser, action)}"


def also(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Where else a flag that is a setting can be set."""
    if action.dest not in (parser.get_default("takes") or ()):
        return ""
    setting = BY_KEY[action.dest]
    return f" (`{setting.variable}`, key `{setting.key}`)"


def settings_table() -> Iterator[str]:
    """Every setting on a line."""
    yield "| key | variable | value | meaning | default | project? |"
    yield "|---|---|---|---|---|---|"
    for each in SETTINGS:
        project = "yes" if each.by_project else "no"
        told = " | ".join(cell(text) for text in (wanted(each), each.help, each.unset))
        yield f"| `{each.key}` | `{each.variable}` | {told} | {project} |"


def own_keys() -> str:
    """The keys that a project's file may not set."""
    keys = [f"`{setting.key}`" for setting in SETTINGS if not setting.by_project]
    return f"{', '.join(keys[:-1])} and {keys[-1]}"


def exit_codes() -> str:
    """The paragraph of the front page that tells them."""
    text = next(part for part in EXAMPLES.split("\n\n") if part.startswith("exit codes:"))
    return escaped(" ".join(text.removeprefix("exit codes:").split()))


def help_of(parser: argparse.ArgumentParser) -> str:
    """A parser's whole help."""
    return formatted(parser, parser.format_help)


def formatted(parser: argparse.ArgumentParser, what: Callable[[], str]) -> str:
    """Help or usage at a width that does not depend on who builds the page."""
    parser.formatter_class = lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=WIDTH)
    vars(parser)["color"] = False  # from Python 3.14 on
    return what().rstrip()


def cell(text: str) -> str:
    """Text in a table."""
    return escaped(text).replace("|", "\\|")


def escaped(text: str) -> str:
    """Plain text as Markdown; what stands in backquotes stays as it is."""
    parts = text.split("`")
    return "`".join(part if i % 2 else re.sub(r"([*_<\[\]\\])", r"\\\1", part) for i, part in enumerate(parts))
