"""The Markdown pages a reader sees, as text with their generated parts in place, and what can be found in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from docs import parts

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
FENCE = re.compile(r"^(```+).*?^\1$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]*)\)")


class Link(NamedTuple):
    """A link of a page: where it stands, and where it leads."""

    page: Path
    target: str

    def __str__(self) -> str:
        return f"{self.page.name}: {self.target}"


def whole(page: Path) -> str:
    """The page with its parts; files that are not pages of docs/ as they are."""
    text = page.read_text(encoding="utf-8")
    return parts.expanded(text) if page.parent == DOCS else text


def prose(page: Path) -> str:
    """The page without fenced blocks and without generated parts."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> Iterator[Link]:
    """The links of a page's prose, inline code left out."""
    for target in LINK.findall(re.sub(r"`[^`\n]*`", "code", prose(page))):
        yield Link(page, target)


def anchors(page: Path) -> set[str]:
    """What `#…` may say: the headings, as GitHub and MyST both spell them."""
    return {slug(title) for title in re.findall(r"^#{1,3} (.+)$", FENCE.sub("", whole(page)), re.MULTILINE)}


def slug(title: str) -> str:
    """A heading as an anchor."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def spans(text: str) -> list[str]:
    """Inline code."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
