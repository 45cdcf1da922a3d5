"""A tokenizer from wherever a model is: its folder, its tokenizer.json, or its GGUF file."""

from __future__ import annotations

from pathlib import Path

from gemsmith.errors import TokenizerError
from gemsmith.tokenizer.gguf import MAGIC
from gemsmith.tokenizer.tokenizer import Tokenizer

FILE_NAME = "tokenizer.json"


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer at `path`: a folder that has a tokenizer.json, a tokenizer.json, or a .gguf file."""
    path = Path(path)
    file = path / FILE_NAME if path.is_dir() else path
    try:
        with open(file, "rb") as opened:
            is_gguf = opened.read(len(MAGIC)) == MAGIC
        return Tokenizer.from_gguf(file) if is_gguf else Tokenizer.from_tokenizer_json(file)
    except OSError as error:
        raise TokenizerError(
            f"asked for a tokenizer at {path}, found {_found(path, error)}; give a folder with a {FILE_NAME}, a"
            f" {FILE_NAME}, or a .gguf file"
        ) from error


def _found(path: Path, error: OSError) -> str:
    if not path.is_dir():
        return error.strerror or str(error)
    names = sorted(entry.name for entry in path.iterdir())
    return f"a folder with {', '.join(names[:8]) or 'nothing'}{', …' if len(names) > 8 else ''}"
