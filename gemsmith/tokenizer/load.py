"""A tokenizer from wherever a model is: its folder, its tokenizer.json, or its GGUF file."""

from __future__ import annotations

from pathlib import Path

from gemsmith.errors import TokenizerError
from gemsmith.files import regular_file
from gemsmith.tokenizer.gguf import MAGIC
from gemsmith.tokenizer.tokenizer import Tokenizer

FILE_NAME = "tokenizer.json"


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer at `path`: a folder that has a tokenizer.json, a tokenizer.json, or a .gguf file."""
    path = Path(path)
    if path.is_dir() and not (path / FILE_NAME).exists():
        raise TokenizerError(
            f"asked for a tokenizer at {path}, found {_content(path)}; give a folder with a {FILE_NAME}, a {FILE_NAME},"
            " or a .gguf file"
        )
    file = path / FILE_NAME if path.is_dir() else path
    with regular_file(file, TokenizerError) as (opened, _):
        is_gguf = opened.read(len(MAGIC)) == MAGIC
    return Tokenizer.from_gguf(file) if is_gguf else Tokenizer.from_tokenizer_json(file)


def _content(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.iterdir())
    return f"a folder with {', '.join(names[:8]) or 'nothing'}{', …' if len(names) > 8 else ''}"
