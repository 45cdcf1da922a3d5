"""Tables of large vocabularies, made once and kept in this program's cache folder.

A vocabulary is read from its tokenizer.json or GGUF file the first time; from then on its table is opened. Which table
belongs to a file is written down under the file's identity (device, inode, size, time of the last change), so that
finding it reads neither file. Tables are named by their content: files with the same vocabulary share one. Whatever is
missing, damaged or cannot be written, the vocabulary is simply read again; the folder may be deleted at any time.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from gemsmith.errors import TokenizerError
from gemsmith.files import atomic_file, regular_file
from gemsmith.tokenizer.table import VERSION, Table, open_table
from gemsmith.tokenizer.vocabulary import Vocabulary

LARGE = 1 << 15  # tokens; smaller vocabularies are read in milliseconds


def tables_folder(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Where tables are kept, whether or not there is such a folder; None where there is no home to keep them in."""
    if home := environment.get("GEMSMITH_HOME"):
        return _whole_path(home, "tables")
    if cache := environment.get("XDG_CACHE_HOME"):
        return _whole_path(cache, "gemsmith", "tables")
    if sys.platform == "win32":
        return _whole_path(environment.get("LOCALAPPDATA", ""), "gemsmith", "Cache", "tables")
    return _whole_path("~/Library/Caches" if sys.platform == "darwin" else "~/.cache", "gemsmith", "tables")


def identity(source: Path) -> str:
    """A name for the file at `source` as it is now; another as soon as it is written to or replaced."""
    with regular_file(source, TokenizerError) as (file, _):
        status = os.fstat(file.fileno())
    return f"{status.st_dev:x}-{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}-v{VERSION}"


def find(source: Path, name: str, folder: Path | None) -> Table | None:
    """The table of the file `source` of that identity, if one is kept and whole enough to open."""
    if folder is None:
        return None
    try:
        digest = (folder / name).read_text("ascii")
        if not re.fullmatch("[0-9a-f]{64}", digest):
            return None
        table = open_table(_table(folder, digest), str(source))
        return table if table.digest == digest else None
    except (OSError, ValueError, TokenizerError):
        return None


def keep(source: Path, name: str, vocabulary: Vocabulary, folder: Path | None) -> Table | None:
    """Make and keep the table of `vocabulary`, read from `source` of that identity; None if it cannot be written."""
    if folder is None:
        return None
    from gemsmith.tokenizer.table_writer import table_bytes

    content = table_bytes(vocabulary)
    digest = Table(memoryview(content), str(source)).digest
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, data in ((_table(folder, digest), content), (folder / name, digest.encode())):
            with atomic_file(path) as file:
                file.write(data)
    except OSError:
        return None
    return find(source, name, folder)


def _table(folder: Path, digest: str) -> Path:
    return folder / f"{digest}.table"


def _whole_path(beginning: str, *names: str) -> Path | None:
    path = os.path.expanduser(beginning)
    return Path(path, *names) if os.path.isabs(path) else None
