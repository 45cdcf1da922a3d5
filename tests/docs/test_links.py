"""Every link between our own files leads somewhere; links to other places are at least well formed."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.pages import PAGES, ROOT, Link, anchors, links, slug

FILES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *PAGES]
LINKS = [link for file in FILES for link in links(file)]
INNER = [link for link in LINKS if not urlsplit(link.target).scheme]
OUTER = [link for link in LINKS if urlsplit(link.target).scheme]


def problem(link: Link) -> str | None:
    """What is wrong with a link inside the repository."""
    path, _, anchor = link.target.partition("#")
    there = (link.page.parent / path).resolve() if path else link.page
    if not there.is_relative_to(ROOT) or not there.exists():
        return f"{link}: there is no such file"
    if anchor and (there.suffix != ".md" or anchor not in anchors(there)):
        return f"{link}: {there.name} has no such heading"
    return None


def test_links_inside_lead_somewhere() -> None:
    assert not list(filter(None, map(problem, INNER)))
    assert len(INNER) >= 10


def test_links_outside_are_well_formed() -> None:
    """There is no network in tests, so nobody asks whether the place still exists."""
    for link in OUTER:
        parts = urlsplit(link.target)
        assert parts.scheme == "https" and "." in parts.netloc and parts.netloc.isascii(), str(link)


@pytest.mark.parametrize("target", ["nowhere.md", "chat.md#no-such-heading", "../../outside.md", "#no-such-heading"])
def test_a_broken_link_is_found(target: str) -> None:
    assert problem(Link(ROOT / "docs/index.md", target))


def test_a_link_to_a_generated_heading_is_no_broken_one() -> None:
    assert problem(Link(ROOT / "docs/index.md", "command-line.md#gemsmith-run")) is None


def test_links_are_found_and_code_is_none(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a [b](c.md) `[d](e)`\n```text\n[f](g)\n```\n[`h`](i.md#j)\n", encoding="utf-8")
    assert [link.target for link in links(page)] == ["c.md", "i.md#j"]


def test_headings_become_anchors() -> None:
    assert slug("Layers that read another's keys and values") == "layers-that-read-anothers-keys-and-values"
