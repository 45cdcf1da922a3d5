"""What the doctor found: one line of a page, and a section of them. Words only; nothing here looks at the machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Mark = Literal["ok", "note", "wrong"]
OURS = "pip install --force-reinstall --no-deps gemsmith"  # what to type where gemsmith itself is broken


@dataclass(frozen=True)
class Finding:
    """`note` is worth knowing, `wrong` will fail or compute wrongly. `fix` is what to type, as it is typed."""

    mark: Mark
    subject: str
    text: str
    fix: str = ""


@dataclass(frozen=True)
class Section:
    """Findings under one heading; `facts` are the same for programs, in numbers."""

    title: str
    findings: list[Finding]
    facts: dict[str, Any] = field(default_factory=dict)


def section(title: str, look: Callable[[dict[str, Any]], Iterator[Finding]]) -> Section:
    """Look, and survive whatever looking raises: a doctor that dies of what it should find is of no use."""
    facts: dict[str, Any] = {}
    findings = []
    try:
        for finding in look(facts):
            findings.append(finding)  # one by one: what was found before an exception stays
    except Exception as error:
        said = (f"{type(error).__name__}: {error}".splitlines() or [""])[0][:300]
        findings.append(Finding("wrong", title, f"could not be looked at: {said}"))
    return Section(title, findings, facts)


def size(count: float) -> str:
    """Bytes as a person reads them: 25.3 GB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 999.5 or unit == "TB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"


def part(fraction: float) -> str:
    """A share of the spread: percent where that reads well, else a power of ten."""
    if not math.isfinite(fraction):
        return "infinity"
    return f"{fraction:.1%}" if fraction >= 0.001 else f"{fraction:.0e}"
