"""A tokenizer from wherever a model is: its folder, its tokenizer.json, its GGUF file, or the table of a pack.

Where native code is built, a table is used instead of reading the vocabulary anew: the one that lies beside a
tokenizer.json and was made from it, or one kept from the first time (`kept_tables.py`). The ids are the same.
"""

from __future__ import annotations

from pathlib import Path

from gemsmith.errors import TokenizerError
from gemsmith.files import regular_file
from gemsmith.tokenizer import gguf_vocabulary, json_vocabulary, kept_tables, table
from gemsmith.tokenizer.gguf import MAGIC
from gemsmith.tokenizer.native import NativeEncoder
from gemsmith.tokenizer.table import open_table
from gemsmith.tokenizer.tokenizer import Tokenizer
from gemsmith.tokenizer.vocabulary import Vocabulary

FILE_NAME = "tokenizer.json"


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer at `path`: a folder that has a tokenizer.json or a table, one of these, or a .gguf file."""
    path = Path(path)
    file = path / FILE_NAME if path.is_dir() else path
    beside = file.with_name(table.FILE_NAME)
    if path.is_dir() and not file.exists():
        if not beside.exists():
            raise TokenizerError(
                f"asked for a tokenizer at {path}, found {_content(path)}; give a folder with a {FILE_NAME}, a"
                f" {FILE_NAME}, or a .gguf file"
            )
        file = beside
    with regular_file(file, TokenizerError) as (opened, size):
        magic = opened.read(len(table.MAGIC))
    if magic == table.MAGIC or file == beside:
        return Tokenizer.from_table(open_table(file))
    if not NativeEncoder.is_available():
        return Tokenizer(_vocabulary(file, magic))
    if file.name == FILE_NAME and beside.exists() and (its := open_table(beside)).source_bytes == size:
        return Tokenizer.from_table(its)
    return _kept(file, magic)


def _kept(file: Path, magic: bytes) -> Tokenizer:
    """The tokenizer of a vocabulary that need not be read if it was before, and that is kept now if it is large."""
    folder, name = kept_tables.tables_folder(), kept_tables.identity(file)
    kept = kept_tables.find(file, name, folder)
    if kept is None:
        vocabulary = _vocabulary(file, magic)
        if len(vocabulary.tokens) >= kept_tables.LARGE and kept_tables.identity(file) == name:
            kept = kept_tables.keep(file, name, vocabulary, folder)
    return Tokenizer(vocabulary) if kept is None else Tokenizer.from_table(kept)


def _vocabulary(file: Path, magic: bytes) -> Vocabulary:
    return gguf_vocabulary.read(file) if magic.startswith(MAGIC) else json_vocabulary.read(file)


def _content(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.iterdir())
    return f"a folder with {', '.join(names[:8]) or 'nothing'}{', …' if len(names) > 8 else ''}"
