"""From what a user types to where a model is: embedded names, local paths, Hugging Face's cache, the Hub.

Only looks at what exists, and asks no network: a name that leads to the Hub is `remote`, and `fetch` gets it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gemsmith.config import preset_names
from gemsmith.errors import ModelNotFoundError
from gemsmith.hub import cache
from gemsmith.hub.known import Wanted, did_you_mean, short_names, wanted

EMBEDDED = ("pebble", "pebble-moe")
_DATA = Path(__file__).parent
PACK_FILE = "model.gemsmith.safetensors"  # of a pack (formats/pack); no reader takes it for a plain checkpoint
DEFAULT_TOKENIZER = _DATA / "pebble" / "tokenizer.json"  # what random models speak


@dataclass(frozen=True)
class Resolved:
    """Where a model is.

    kind `checkpoint`: `path` is a folder or a .safetensors file with weights; `pack`: the folder of a packed model;
    `gguf`: a .gguf file; `config`: `path` is a config.json without a promise of weights; `random`: no path, `name` is a
    preset whose weights are made from a seed; `remote`: not on this machine, `wanted` says what to fetch.
    """

    kind: Literal["checkpoint", "pack", "gguf", "config", "random", "remote"]
    name: str
    path: Path | None = None
    wanted: Wanted | None = None  # for what comes, or came, from the Hub


def resolve(source: str | os.PathLike[str]) -> Resolved:
    """Find a model by embedded name, as a random preset, by local path, in Hugging Face's cache, or on the Hub.

    Embedded names, in capitals too, win over folders (`./pebble` is one), and folders over the Hub's names.
    Raises ModelNotFoundError, which lists what is known. Looks only at what exists; opens no weights.
    """
    if not isinstance(source, (str, bytes, os.PathLike)):
        raise ModelNotFoundError(f"a model is a name or a path, found {type(source).__name__}; try 'pebble'")
    name = os.fsdecode(source)
    if name.lower() in available_names():
        return Resolved("checkpoint", name.lower(), _DATA / name.lower().replace("-", "_"))
    if name.lower() in random_names():
        return Resolved("random", name.lower())
    if (local := _local(name)) is not None:
        return local
    if isinstance(source, str) and not os.path.exists(name) and (asked := wanted(name)) is not None:
        path = cache.find(asked)
        kind: Literal["checkpoint", "gguf"] = "gguf" if asked.quant else "checkpoint"
        return Resolved(kind, name, path, asked) if path else Resolved("remote", name, None, asked)
    raise ModelNotFoundError(_not_found(name))


def available_names() -> tuple[str, ...]:
    """The models whose weights came with this installation."""
    return tuple(name for name in EMBEDDED if (_DATA / name.replace("-", "_") / "config.json").is_file())


def random_names() -> tuple[str, ...]:
    """Presets that stand in for a model where weights need no meaning."""
    return tuple(name for name in preset_names() if name.startswith("tiny-random"))


def _local(name: str) -> Resolved | None:
    """A model at a path."""
    if os.path.isfile(name) and os.path.basename(name) == PACK_FILE:
        return Resolved("pack", name, Path(name).parent)
    if os.path.isfile(os.path.join(name, PACK_FILE)):
        return Resolved("pack", name, Path(name))
    if os.path.isdir(name) or (os.path.isfile(name) and name.endswith((".safetensors", ".safetensors.index.json"))):
        return Resolved("checkpoint", name, Path(name))
    if os.path.isfile(name) and name.endswith(".gguf"):
        return Resolved("gguf", name, Path(name))
    if os.path.isfile(name) and name.endswith(".json"):
        return Resolved("config", name, Path(name))
    return None


def _not_found(name: str) -> str:
    shown = (repr if name.isprintable() else ascii)(name[:200])
    if os.path.isfile(name):
        return (
            f"{shown} is no file gemsmith can read as a model; give a folder, a config.json, or a .safetensors or .gguf"
            " file"
        )
    if os.sep in name or name.endswith((".gguf", ".safetensors", ".json")):
        here = f"there is no file or folder {shown}, and it is no repository (org/name) of the Hub either"
    else:
        here = f"no model {shown}{did_you_mean(name, (*available_names(), *random_names()))}"
    sizes = [short for short in short_names() if not short.endswith(("-it", "-base"))]
    return (
        f"{here}; known names are {', '.join((*available_names(), *sizes))} and tiny-random-e2b, or give a Hugging Face"
        " repository (org/name), or the path of a folder with config.json and safetensors weights"
    )
