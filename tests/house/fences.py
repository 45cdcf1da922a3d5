"""Fenced blocks of a Markdown page that show what comes out: found, run, compared. The README and `docs/` share this.

In ```console, a line that starts with `$ ` is a command, and the lines up to the next one are what it writes to stdout.
```pycon is an interactive Python session, all blocks of a page one after another. In both, `...` stands for anything.
Other fences (```sh, ```text) are not run.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Shown(NamedTuple):
    """One command of a page, and what the page says it prints."""

    command: str
    output: str


def blocks(page: str, kind: str) -> list[str]:
    """The fenced blocks of one kind, without their fences."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[Shown]:
    """Every command of the page's console blocks, in order."""
    shown = []
    for block in blocks(page, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            shown.append(Shown(command.split("  #")[0].rstrip(), output))
    return shown


def same(shown: str, found: str) -> bool:
    """Equal line by line but for space at line ends; `...` matches anything, also many lines."""
    shown, found = (re.sub(r"[ \t]+$", "", text.strip(), flags=re.MULTILINE) for text in (shown, found))
    return bool(re.fullmatch(".*?".join(map(re.escape, shown.split("..."))), found, re.DOTALL))


def check_command(shown: Shown, folder: Path, **environment: str) -> None:
    """Run the command in `folder`; AssertionError unless it ends well and prints what the page shows."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", shown.command],
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"$ {shown.command}\nended with {done.returncode}: {done.stderr}"
    assert same(shown.output, done.stdout), (
        f"$ {shown.command}\nthe page shows\n{shown.output}\nand this came out\n{done.stdout}\n{done.stderr}"
    )


def check_session(page: str, name: str) -> int:
    """Run the page's Python session and count its examples; AssertionError where one prints something else."""
    test = doctest.DocTestParser().get_doctest("\n".join(blocks(page, "pycon")), {}, name, name, 0)
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False)
    runner.run(test, out=told.append)
    assert not runner.failures, "".join(told)
    return len(test.examples)
