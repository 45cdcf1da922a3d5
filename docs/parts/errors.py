"""The exceptions a user can meet: the tree as `gemsmith.errors` draws it, and a list of all."""

from __future__ import annotations

import inspect

import gemsmith
from gemsmith import errors


def tree() -> str:
    """The drawing at the head of the module."""
    drawing = [line for line in inspect.getdoc(errors).splitlines() if line.startswith("    ")]
    return "```text\n" + inspect.cleandoc("\n".join(drawing)) + "\n```"


def classes() -> str:
    """Every exported exception, for autodoc."""
    directives = "\n".join(f".. autoexception:: gemsmith.{name}\n   :show-inheritance:" for name in exported())
    return "```{eval-rst}\n" + directives + "\n```"


def exported() -> list[str]:
    """Names of the exceptions that `import gemsmith` offers, in the module's order."""
    return [name for name in vars(errors) if name in gemsmith.__all__]
