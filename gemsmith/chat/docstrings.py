"""Descriptions out of docstrings: what a function does, and what each parameter is.

Reads Google's (`Args:`), NumPy's (`Parameters` underlined) and Sphinx's (`:param name:`) styles, by lines and indents.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import NamedTuple

PARAMETERS = ("args", "arguments", "parameters", "params", "other parameters", "keyword args", "keyword arguments")
OTHERS = (
    *("returns", "return", "yields", "yield", "raises", "warns", "warnings", "examples", "example", "notes", "note"),
    *("attributes", "references", "see also", "todo", "receives"),
)


class Docstring(NamedTuple):
    """What a docstring says of a function and of its parameters."""

    description: str
    parameters: dict[str, str]


def read_docstring(text: str | None) -> Docstring:
    """The words before any section, and one description for each parameter that has one."""
    description: list[str] = []
    parameters: dict[str, str] = {}
    for title, lines in _sections(inspect.cleandoc(text or "").splitlines()):
        if title is None:
            description += lines
        elif title == ":param":
            parameters |= _sphinx(lines)
        elif title in PARAMETERS:
            parameters |= _entries(lines)
    return Docstring(_paragraphs(description), parameters)


def _sections(lines: list[str]) -> Iterator[tuple[str | None, list[str]]]:
    """(title or None, lines) for each section; Sphinx fields are sections called `:param` or `:`."""
    title: str | None = None
    section: list[str] = []
    skip = False
    for line, following in zip(lines, [*lines, ""][1:], strict=True):
        if skip:
            skip = False
            continue
        found, skip = _title(line, following)
        if found is None:
            section.append(line)
            continue
        yield title, section
        title, section = found, [line] if found.startswith(":") else []
    yield title, section


def _title(line: str, following: str) -> tuple[str | None, bool]:
    """The section a line opens, if any, and whether the next line is its underline."""
    if line.startswith(":") and ":" in line[1:]:
        is_parameter = line.startswith((":param ", ":parameter ", ":arg ", ":argument "))
        return (":param" if is_parameter else ":"), False
    word = line.rstrip().lower()
    if word in (*PARAMETERS, *OTHERS) and following.strip() and set(following.strip()) == {"-"}:
        return word, True
    if line[:1].isspace() or not word.endswith(":") or word[:-1] not in (*PARAMETERS, *OTHERS):
        return None, False
    return word[:-1], False


def _sphinx(lines: list[str]) -> dict[str, str]:
    """`:param name: …` or `:param type name: …`, going on over indented lines."""
    head, _, first = lines[0][1:].partition(":")
    return {head.split()[-1].lstrip("*"): _folded([first, *_until_blank(lines[1:])])}


def _until_blank(lines: list[str]) -> list[str]:
    end = next((at for at, line in enumerate(lines) if not line.strip()), len(lines))
    return lines[:end]


def _entries(lines: list[str]) -> dict[str, str]:
    """`name (type): …` (Google) or `name : type` with the words below (NumPy); deeper lines belong to the entry."""
    filled = [line for line in lines if line.strip()]
    indent = min((_indent(line) for line in filled), default=0)
    entries: dict[str, str] = {}
    for at, line in enumerate(filled):
        if _indent(line) > indent:
            continue
        below = []
        for later in filled[at + 1 :]:
            if _indent(later) <= indent:
                break
            below.append(later)
        head, first = _head(line.strip(), is_numpy=indent == 0)
        for name in head.split("(")[0].split(","):
            entries[name.strip().lstrip("*")] = _folded([first, *below])
    return {name: text for name, text in entries.items() if text}


def _head(line: str, *, is_numpy: bool) -> tuple[str, str]:
    """An entry's names, and the words after the colon, which in NumPy's style are a type. Brackets may hold colons."""
    depth = 0
    for at, char in enumerate(line):
        depth += (char in "([{") - (char in ")]}")
        if char == ":" and depth == 0:
            return line[:at], "" if is_numpy else line[at + 1 :]
    return line, ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _folded(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


def _paragraphs(lines: list[str]) -> str:
    """Lines joined to paragraphs, with one blank line between them."""
    paragraphs = "\n".join(line.strip() for line in lines).strip().split("\n\n")
    return "\n\n".join(folded for paragraph in paragraphs if (folded := _folded(paragraph.split("\n"))))
