"""Sections as a page for a person: aligned, at most 80 columns, readable without colour."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator

from gemsmith.cli.doctor.finding import Finding, Section
from gemsmith.cli.output import PICTURES, colours

WIDTH = 80
MARK, SUBJECT = 7, 19  # columns; the second at most
COLOURS = {"ok": "\x1b[32m", "note": "\x1b[33m", "wrong": "\x1b[1;31m"}
PLAIN = "\x1b[0m"


def show(section: Section) -> None:
    """Print one section as soon as it is known."""
    print(*lines(section, colours(sys.stdout)), "", sep="\n", flush=True)


def lines(section: Section, coloured: bool = False) -> Iterator[str]:
    """The section's lines. Texts may quote a stranger's file, so their controls become pictures."""
    yield harmless(section.title)
    width = min(SUBJECT, max((len(finding.subject) for finding in section.findings), default=0))
    for finding in section.findings:
        yield from _finding_lines(finding, width, coloured)


def _finding_lines(finding: Finding, width: int, coloured: bool) -> Iterator[str]:
    indent = " " * (2 + MARK + width + 2)
    start = f"  {finding.mark:<{MARK}}{harmless(finding.subject):<{width}}  "
    first, *more = textwrap.wrap(
        start + harmless(finding.text), WIDTH, break_on_hyphens=False, subsequent_indent=indent, drop_whitespace=True
    )
    if coloured:
        first = first.replace(finding.mark, f"{COLOURS[finding.mark]}{finding.mark}{PLAIN}", 1)
    yield from (first, *more)
    if finding.fix:  # never wrapped: it is there to be copied
        yield f"{' ' * (2 + MARK)}type: {harmless(finding.fix)}"


def harmless(text: str) -> str:
    """One line without control characters."""
    return " ".join(text.translate(PICTURES).split())


def summary(sections: list[Section]) -> str:
    """The last line: how many things are wrong, or that nothing is. What one command mends is one thing."""
    findings = [finding for section in sections for finding in section.findings]
    wrong = len({finding.fix or finding.text for finding in findings if finding.mark == "wrong"})
    notes = sum(finding.mark == "note" for finding in findings)
    noted = f", {notes} note{'s' * (notes > 1)}" if notes else ""
    if wrong:
        return f"{wrong} {'things are' if wrong > 1 else 'thing is'} wrong{noted}: see the lines marked wrong"
    return f"nothing is wrong{noted}"
