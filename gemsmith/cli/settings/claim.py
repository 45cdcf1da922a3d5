"""That a certain place sets a key to a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["flag", "environment", "project file", "user file"]


@dataclass(frozen=True)
class Claim:
    """`where` is a flag, a variable's name, or a file's path; `path` the key within that file ("run.temperature")."""

    key: str
    value: Any
    kind: Kind
    where: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.path}" if self.path else self.where

    @property
    def of_command(self) -> bool:
        """Whether it stands in a command's own table."""
        return self.path.count(".") == 1
