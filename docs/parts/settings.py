"""Tables of keywords, read from the dataclass that holds them: name, default, and the comment beside the field."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator

from docs.parts.family import table


def sampling() -> str:
    """The sampling keywords."""
    from gemsmith.engine.sampling import Sampling

    return table(["keyword", "default", "what it does"], rows(Sampling), "lll")


def rows(cls: type) -> Iterator[list[str]]:
    """A row for each field of a dataclass."""
    source = textwrap.dedent(inspect.getsource(cls))
    lines = source.splitlines()
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    for field in body.body:
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            comment = re.search(r"  # (.*)$", lines[field.lineno - 1])
            default = ast.unparse(field.value) if field.value is not None else ""
            shown = "the model's own" if default == "None" and not comment_says_none(comment) else f"`{plain(default)}`"
            yield [f"`{field.target.id}`", shown, (comment[1] if comment else "").replace("|", "\\|")]


def comment_says_none(comment: re.Match[str] | None) -> bool:
    """Whether the comment itself tells what None means."""
    return comment is not None and comment[1].startswith("None:")


def plain(default: str) -> str:
    """A default as a reader would write it."""
    return {"field(default_factory=dict)": "{}"}.get(default, default)
