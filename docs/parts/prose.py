"""Docstrings of this house as reStructuredText: plain paragraphs, indented examples, `code` in single backticks."""

from __future__ import annotations

import re
from collections.abc import Iterable

import gemsmith

CODE = re.compile(r"(?<![`:])`([^`\n]+)`(?![`_])")
ERROR = re.compile(r"\b[A-Z]\w+Error\b")


def as_rst(lines: Iterable[str]) -> list[str]:
    """Lines of a docstring for Sphinx; what is indented below a paragraph becomes a literal block."""
    out: list[str] = []
    for line in lines:
        starts_block = line.startswith("    ") and (not out or not out[-1].strip())
        if starts_block and not any(earlier.startswith("    ") for earlier in out[-2:]):
            out += ["::", ""]
        out.append(line if line.startswith("    ") else words(line))
    return out


def words(line: str) -> str:
    """A line with its code marked, and with links to the exceptions it names."""
    pieces = re.split(r"(``[^`]+``)", CODE.sub(r"``\1``", line))
    return "".join(piece if piece.startswith("``") else ERROR.sub(linked, piece) for piece in pieces)


def linked(name: re.Match[str]) -> str:
    """A link, if the name is one of ours."""
    return f":py:exc:`~gemsmith.{name[0]}`" if name[0] in gemsmith.__all__ else name[0]
