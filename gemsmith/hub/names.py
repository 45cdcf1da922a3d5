"""From what a user types to where a model is: embedded names, local paths, random stand-ins.

Downloads are not built yet: a name that is none of these is an error that says what would work.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gemsmith.config import preset_names
from gemsmith.errors import ModelNotFoundError

EMBEDDED = ("pebble", "pebble-moe")
_DATA = Path(__file__).parent
DEFAULT_TOKENIZER = _DATA / "pebble" / "tokenizer.json"  # what random models speak


@dataclass(frozen=True)
class Resolved:
    """Where a model is.

    kind `checkpoint`: `path` is a folder or a .safetensors file with weights; `config`: `path` is a config.json
    without a promise of weights; `random`: no path, `name` is a preset whose weights are made from a seed.
    """

    kind: Literal["checkpoint", "config", "random"]
    name: str
    path: Path | None = None


def resolve(source: str | os.PathLike[str]) -> Resolved:
    """Find a model by embedded name, by local path, or as a random preset; names, in capitals too, win over folders
    (`./pebble` is one).

    Raises ModelNotFoundError, which lists what is known. Looks only at what exists; opens nothing.
    """
    if not isinstance(source, (str, bytes, os.PathLike)):
        raise ModelNotFoundError(f"a model is a name or a path, found {type(source).__name__}; try 'pebble'")
    name = os.fsdecode(source)
    if name.lower() in (*available_names(), *random_names()):
        name = name.lower()
    if name in available_names():
        return Resolved("checkpoint", name, _DATA / name.replace("-", "_"))
    if name in random_names():
        return Resolved("random", name)
    if os.path.isdir(name) or (os.path.isfile(name) and name.endswith((".safetensors", ".safetensors.index.json"))):
        return Resolved("checkpoint", name, Path(name))
    if os.path.isfile(name) and name.endswith(".json"):
        return Resolved("config", name, Path(name))
    raise ModelNotFoundError(_not_found(name))


def available_names() -> tuple[str, ...]:
    """The models whose weights came with this installation."""
    return tuple(name for name in EMBEDDED if (_DATA / name.replace("-", "_") / "config.json").is_file())


def random_names() -> tuple[str, ...]:
    """Presets that stand in for a model where weights need no meaning."""
    return tuple(name for name in preset_names() if name.startswith("tiny-random"))


def _not_found(name: str) -> str:
    shown = (repr if name.isprintable() else ascii)(name[:200])
    known = ", ".join((*available_names(), *random_names()))
    if os.path.isfile(name):
        return f"{shown} is no file gemsmith can read as a model; give a folder, a config.json or a .safetensors file"
    found = f"only the config of {name} is here, not its weights" if name in preset_names() else f"no model {shown}"
    return (
        f"{found}; known names are {known}, or give the path of a folder with config.json and"
        " safetensors weights (downloading by name is not built yet)"
    )
