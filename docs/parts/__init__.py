"""What the pages take from the code each time they are built. One table says which comment means which function.

family.py            tables of the model family, from presets and cost functions
commands.py          every command's help
settings.py          tables of keywords, from the dataclasses that hold them
errors.py            the tree of exceptions
layout.py            a conversation's tokens, coloured
prose.py             docstrings as reStructuredText
index_for_models.py  llms.txt
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from functools import cache

# what stands in a page as <!-- NAME --> -> the function that makes its replacement
PARTS = {
    "family.sizes": "docs.parts.family:sizes",
    "family.shapes": "docs.parts.family:shapes",
    "family.layers": "docs.parts.family:layers",
    "family.parameters": "docs.parts.family:parameters",
    "family.operations": "docs.parts.family:operations",
    "family.keys-and-values": "docs.parts.family:keys_and_values",
    "family.speed": "docs.parts.family:speed",
    "family.embedded": "docs.parts.family:embedded",
    "commands": "docs.parts.commands:markdown",
    "commands.in-a-chat": "docs.parts.commands:in_a_chat",
    "names.released": "docs.parts.names:released",
    "settings.sampling": "docs.parts.settings:sampling",
    "errors.tree": "docs.parts.errors:tree",
    "errors.classes": "docs.parts.errors:classes",
    "layout.chat": "docs.parts.layout:chat",
    "layout.tools": "docs.parts.layout:tools",
    "layout.thinking": "docs.parts.layout:thinking",
    "figure.travel": "docs.figures.travel:figure",
    "figure.sharing": "docs.figures.sharing:figure",
    "figure.caches": "docs.figures.caches:figure",
    "figure.growth": "docs.figures.growth:figure",
}
MARK = re.compile(r"^<!-- ([a-z.-]+) -->$", re.MULTILINE)


def expanded(page: str) -> str:
    """The page with every part in its place."""
    return MARK.sub(lambda mark: part(mark[1]), page)


@cache
def part(name: str) -> str:
    """The Markdown or HTML that a name stands for; KeyError for one that is not in the table."""
    module, _, function = PARTS[name].partition(":")
    make: Callable[[], str] = getattr(importlib.import_module(module), function)
    return make().strip("\n")
