"""The files of a pack beside its tensors: config, tokenizer, template. Their SHA-256 stand in the tensors' header.

Those of a few kilobytes are checked whenever a pack is opened, the tokenizer's by `verify`. A pack that was written
before there were such sums has none, and opens.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from gemsmith.errors import ModelFileError
from gemsmith.files import atomic_file, regular_file, write_json, write_text
from gemsmith.formats.pack.source import PackSource
from gemsmith.tokenizer import load_tokenizer
from gemsmith.tokenizer.table import FILE_NAME as TOKENIZER_TABLE
from gemsmith.tokenizer.table_writer import write_table

TINY = ("config.json", "generation_config.json", "chat_template.jinja")
SMALL_FILES = (*TINY, "tokenizer.json", TOKENIZER_TABLE)


def write_small_files(stage: Path, source: PackSource) -> dict[str, str]:
    """Write them; their sums by name."""
    if source.tokenizer_path is not None:
        _write_tokenizer(stage, source.tokenizer_path)
    if source.generation_config is not None:
        write_json(stage / "generation_config.json", dict(source.generation_config))
    if source.chat_template is not None:
        write_text(stage / "chat_template.jinja", source.chat_template)
    config = dict(source.config.to_json())
    config.pop("auto_map", None)  # names code that is not copied, and that nobody should run
    write_json(stage / "config.json", config)
    return {name: _sum(stage / name) for name in SMALL_FILES if (stage / name).exists()}


def changed(folder: Path, sums: Mapping[str, str], names: Iterable[str] = SMALL_FILES) -> list[str]:
    """Those of `names` that are missing or not as they were written."""
    return [n for n in names if n in sums and not ((folder / n).exists() and _sum(folder / n) == sums[n])]


def check_small_files(folder: Path, sums: Mapping[str, str], names: Iterable[str] = SMALL_FILES) -> None:
    """ModelFileError if one of `names` is missing or not as it was written."""
    for name in changed(folder, sums, names):
        raise ModelFileError(told(folder / name))


def told(file: Path) -> str:
    """What to do about a file that is not as it was written."""
    found = "is not as it was packed" if file.exists() else "was packed and is gone"
    return (
        f"{file} {found}; pack the model again (gemsmith quantize MODEL). To change it on purpose, change it in the"
        " model and pack that; a reply's settings can be given to each run instead (--temperature 0.7)"
    )


def _write_tokenizer(stage: Path, path: Path) -> None:
    """The vocabulary as a table; the tokenizer.json too, for those who look for one (a GGUF file has none)."""
    vocabulary, nbytes = load_tokenizer(path).vocabulary, 0
    if path.suffix == ".json":
        with regular_file(path, ModelFileError) as (found, _), atomic_file(stage / "tokenizer.json") as file:
            shutil.copyfileobj(found, file)
        nbytes = (stage / "tokenizer.json").stat().st_size
    write_table(stage / TOKENIZER_TABLE, vocabulary, nbytes)


def _sum(path: Path) -> str:
    total = hashlib.sha256()
    with regular_file(path, ModelFileError) as (file, _):
        while piece := file.read(1 << 20):
            total.update(piece)
    return total.hexdigest()
