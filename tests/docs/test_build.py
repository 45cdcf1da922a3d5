"""The pages build without a warning, and what comes out needs nothing from anywhere else."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.pages import DOCS, PAGES

pytestmark = pytest.mark.slow
LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href", "object": "data"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built pages. Warnings are errors, names that lead nowhere are warnings."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", folder / "doctrees"]
    done = subprocess.run([*command, DOCS, folder / "html"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "html"


class Reader(HTMLParser):
    """Collects what a page loads, where its links lead, and its anchors."""

    def __init__(self, text: str):
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        self.anchors.add(found.get("id", ""))
        if tag in LOADING and LOADING[tag] in found:
            self.loads.append(found[LOADING[tag]])
        elif tag == "a" and "href" in found:
            self.links.append(found["href"])


@pytest.fixture(scope="module")
def read(site: Path) -> dict[Path, Reader]:
    return {page: Reader(page.read_text(encoding="utf-8")) for page in site.rglob("*.html")}


def test_every_page_is_there(site: Path) -> None:
    assert all((site / f"{page.stem}.html").is_file() for page in PAGES)
    assert (site / "llms.txt").read_text(encoding="utf-8").startswith("# gemsmith\n")


def test_nothing_is_loaded_from_outside(site: Path, read: dict[Path, Reader]) -> None:
    for page, reader in read.items():
        for load in reader.loads:
            assert not urlsplit(load).scheme and not load.startswith("//"), f"{page.name} loads {load}"
            assert (page.parent / unquote(urlsplit(load).path)).exists(), f"{page.name} loads {load}"
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"@import|url\(\s*['\"]?(?:https?:)?//", text), f"{style.name} loads from outside"


def test_every_link_of_the_built_pages_leads_somewhere(read: dict[Path, Reader]) -> None:
    broken = []
    for page, reader in read.items():
        for link in reader.links:
            parts = urlsplit(link)
            if parts.scheme or link == "#":
                continue
            there = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if there not in read or (parts.fragment and unquote(parts.fragment) not in read[there].anchors):
                broken.append(f"{page.name}: {link}")
    assert not broken


def test_the_api_page_has_signatures_words_and_links(read: dict[Path, Reader], site: Path) -> None:
    page = (site / "python-api.html").read_text(encoding="utf-8")
    assert {"gemsmith.load", "gemsmith.Model.chat", "gemsmith.Message", "gemsmith.ToolError"} <= read[
        site / "python-api.html"
    ].anchors
    assert "system-message" not in page
    assert "`" not in re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", "", page, flags=re.DOTALL), "a backtick is shown"
