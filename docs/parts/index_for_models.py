"""llms.txt (llmstxt.org): the pages with one line each, for a language model that reads documentation."""

from __future__ import annotations

import re
from pathlib import Path

HEAD = """\
# gemsmith

> Gemma 4, whole, in Python: its own model code, a command line, a Python API, and a tiny model that comes along.
"""


def text(folder: Path) -> str:
    """The pages of `folder` in the order of its index."""
    listed = re.findall(r"^```\{toctree\}\n(.*?)^```$", (folder / "index.md").read_text("utf-8"), re.M | re.S)
    sections = [HEAD]
    for block in listed:
        caption = re.search(r"^:caption: (.+)$", block, re.MULTILINE)
        pages = [line for line in block.splitlines() if line and not line.startswith(":")]
        lines = "\n".join(entry(folder / f"{page}.md") for page in pages)
        sections.append(f"## {caption[1] if caption else 'Pages'}\n\n{lines}\n")
    return "\n".join(sections)


def entry(page: Path) -> str:
    """A page's title, address and first paragraph."""
    title, opening, *_ = (part for part in page.read_text("utf-8").split("\n\n") if not part.startswith("<!--"))
    return f"- [{title.removeprefix('# ').strip()}]({page.stem}.html): {' '.join(opening.split())}"
