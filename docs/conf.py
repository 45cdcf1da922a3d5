"""How Sphinx builds these pages: `make docs`, or `python -m sphinx -W docs docs/_build/html`.

Pages are Markdown. What the code knows is not typed into them: a comment such as `<!-- family.shapes -->` is replaced,
when the page is read, by what `docs/parts` makes from the configs, the parsers and the docstrings as they are now.
Nothing is fetched: fonts are the reader's own, scripts come with the theme, and there are no links to other projects'
indexes.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from docs import parts  # noqa: E402
from docs.parts import index_for_models, prose  # noqa: E402
from gemsmith.version import __version__  # noqa: E402

project = "gemsmith"
copyright = "the gemsmith authors, Apache-2.0"
version = release = __version__
language = "en"
MOST_FIELDS = 10
MADE_BY_LOAD = ("gemsmith.Model", "gemsmith.tokenizer.Tokenizer")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
smartquotes = False  # they make a dash of an option's two hyphens
pygments_style, pygments_dark_style = "default", "github-dark"

# Every name that a signature or a sentence of ours refers to must be on a page. Other projects' names stay plain.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!gemsmith\b).*"), (r"py:class", r"gemsmith\.tokenizer\.table\.Table")]

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
python_display_short_literal_types = True
python_maximum_signature_line_length = 72
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"gemsmith {__version__}"
html_static_path = ["_static"]
html_css_files = ["gemsmith.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options: dict[str, Any] = {
    "light_css_variables": {
        "color-brand-primary": "#0b5cad",
        "color-brand-content": "#0b5cad",
        "gem-sliding": "#1d62c4",
        "gem-sliding-soft": "#dbe8fb",
        "gem-full": "#b4520a",
        "gem-full-soft": "#fbe6d4",
        "gem-control": "#7a2ea0",
        "gem-control-soft": "#f1e2f8",
        "gem-written": "#1c7c3c",
        "gem-line": "#6b7280",
        "gem-plain-soft": "#f1f3f5",
    },
    "dark_css_variables": {
        "color-brand-primary": "#7fb8f5",
        "color-brand-content": "#7fb8f5",
        "gem-sliding": "#7db2ff",
        "gem-sliding-soft": "#1b3558",
        "gem-full": "#ffae70",
        "gem-full-soft": "#4d2d14",
        "gem-control": "#dba6f5",
        "gem-control-soft": "#432257",
        "gem-written": "#79d698",
        "gem-line": "#9aa3af",
        "gem-plain-soft": "#24282e",
    },
}


def put_parts_in(app: Any, page: str, source: list[str]) -> None:
    """Replace the comments that name a part by the part."""
    source[0] = parts.expanded(source[0])


def read_docstring(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Our docstrings are plain text with `code` in single backticks; Sphinx reads reStructuredText."""
    lines[:] = prose.as_rst(lines)


def leave_out_long_signatures(
    app: Any, what: str, name: str, thing: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str, None] | None:
    """What nobody makes by hand: a dataclass of dozens of fields, and what `load` makes."""
    is_long = dataclasses.is_dataclass(thing) and len(dataclasses.fields(thing)) > MOST_FIELDS
    return ("", None) if is_long or name in MADE_BY_LOAD else None


def find_by_last_name(app: Any, env: Any, node: Any, contents: Any) -> Any:
    """`gemsmith.chat.values.Message` in a signature is what the pages document as `gemsmith.Message`."""
    domain, target = env.get_domain("py"), re.split(r"[.]", node.get("reftarget", ""))[-1]
    for name in (f"gemsmith.{target}", *(known for known in domain.objects if known.endswith(f".{target}"))):
        if node.get("refdomain") == "py" and name in domain.objects:
            return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, contents)
    return None


def write_index_for_models(app: Any, problem: Exception | None) -> None:
    """llms.txt beside the pages."""
    if problem is None and app.builder.name == "html":
        (Path(app.outdir) / "llms.txt").write_text(index_for_models.text(Path(app.srcdir)), encoding="utf-8")


def setup(app: Any) -> None:
    """Put the functions above in their places."""
    app.connect("source-read", put_parts_in)
    app.connect("autodoc-process-docstring", read_docstring)
    app.connect("autodoc-process-signature", leave_out_long_signatures)
    app.connect("missing-reference", find_by_last_name)
    app.connect("build-finished", write_index_for_models)
