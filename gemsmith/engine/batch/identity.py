"""Whether a batch that was begun is the one that is asked for now: same lines, same model, same settings.

What does not change an answer (threads, where the files are, how errors are counted) is left out. A model is known by
samples of its files, not by their names or times, so that a copy is the same model, and one trained anew is not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gemsmith.engine.batch.lines import Scan
from gemsmith.engine.batch.request import Defaults
from gemsmith.runtime.cpu.kv import KV
from gemsmith.version import __version__

LOADING = {"max_context": None, "dtype": None, "device": None, "kv": KV[0]}  # with what holds where nobody says
WHOLE = 4 << 20  # a file of up to this size is summed as a whole
NUM_SAMPLES, SAMPLE = 256, 4096
SUFFIXES = (".json", ".jinja", ".safetensors", ".gguf", ".table")


def identity(
    scan: Scan,
    limit: int | None,
    model: str,
    path: Path | None,
    loading: Mapping[str, Any],
    defaults: Defaults,
    engine: str = "",
) -> dict[str, Any]:
    """Everything that the answers depend on, by name; values that JSON has. `engine` is what `load` takes."""
    settings = {
        "--limit": limit,
        "lines": scan.count,
        "input": scan.sha256,
        "the model": fingerprint(path) if path is not None else model,
        "the engine": engine,
        **{f"--{key.replace('_', '-')}": loading.get(key, default) for key, default in LOADING.items()},
        "--system": defaults.system,
        "--think": defaults.think,
        "--seed": defaults.seed,
        **{f"--{key.replace('_', '-')}": value for key, value in sorted(defaults.sampling.items())},
        "gemsmith": __version__,
    }
    out: dict[str, Any] = json.loads(json.dumps(settings))
    return out


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first thing in which a batch that was begun is another one than this, in words; None if it is the same."""
    for key in dict.fromkeys((*now, *before)):
        if before.get(key) != now.get(key):
            if key in ("input", "lines"):
                return "other lines in its input"
            if key == "the model":
                return "another model, or other weights under its name"
            return f"{key} {said(before.get(key))}, and not {said(now.get(key))}"
    return None


def said(value: Any) -> str:
    """A setting's value in a sentence."""
    return "not set" if value is None else json.dumps(value, ensure_ascii=False)[:60]


def fingerprint(path: Path) -> str:
    """A sum over a model's files: small ones whole, of large ones the size and samples from everywhere."""
    total = hashlib.sha256()
    for name, file in files_of(path):
        total.update(f"{name} {file.stat().st_size} ".encode())
        with file.open("rb") as data:
            for offset, length in spans(file.stat().st_size):
                data.seek(offset)
                total.update(data.read(length))
    return total.hexdigest()


def files_of(path: Path) -> list[tuple[str, Path]]:
    """A model's files by name; the folder's, where the path is one of several."""
    folder = path if path.is_dir() else path.parent
    own = [path] if path.is_file() else []
    beside = [each for each in folder.iterdir() if each.suffix == ".json" or (not own and each.suffix in SUFFIXES)]
    return sorted({(each.name, each) for each in (*own, *beside) if each.is_file()})


def spans(size: int) -> Iterator[tuple[int, int]]:
    """Which bytes of a file to look at."""
    if size <= WHOLE:
        yield 0, size
        return
    for index in range(NUM_SAMPLES):
        yield index * (size - SAMPLE) // (NUM_SAMPLES - 1), SAMPLE
