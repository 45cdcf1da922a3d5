"""Lines typed before, called back with the arrow keys: one JSON string a line, for its owner's eyes only.

A line that a killed program wrote in part, or a stranger's hand, is passed over. The file is kept to the last entries.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from gemsmith.cli.folders import private_folder, state_folder
from gemsmith.errors import GemsmithError
from gemsmith.files import atomic_file, regular_file

MAX_ENTRIES = 1000
MAX_BYTES = 4 << 20
MAX_LENGTH = 4000  # a longer one was pasted, and is in a file somewhere


class History:
    """What was typed, oldest first; kept in a file unless `path` is None or cannot be written."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.entries = [] if path is None else _read(path)
        if path is not None and len(self.entries) > MAX_ENTRIES:
            self.entries = self.entries[-MAX_ENTRIES:]
            with suppress(OSError), atomic_file(path, mode=0o600) as file:
                file.write("".join(map(_line, self.entries)).encode())

    @classmethod
    def of_user(cls, *, is_kept: bool = True) -> History:
        """The user's own; without a home it lasts as long as the program."""
        return cls(state_folder() / "history" if is_kept else None)

    def add(self, text: str) -> None:
        """Remember a line, unless it is the last one again."""
        if not text.strip() or (self.entries and self.entries[-1] == text):
            return
        self.entries.append(text)
        if self._path is None or len(text) > MAX_LENGTH:
            return
        with suppress(OSError, GemsmithError):  # a history is a comfort: without it, chatting goes on
            private_folder(self._path.parent)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
            fd = os.open(self._path, flags, 0o600)
            with os.fdopen(fd, "ab") as file:
                file.write(_line(text).encode())  # one write: two programs' lines do not mix


def _line(text: str) -> str:
    return json.dumps(text) + "\n"


def _read(path: Path) -> list[str]:
    """The entries at the end of the file."""
    with suppress(GemsmithError, OSError), regular_file(path, GemsmithError) as (file, size):
        file.seek(max(0, size - MAX_BYTES))
        return [text for line in file.read(MAX_BYTES).splitlines() if (text := _entry(line))]
    return []


def _entry(line: bytes) -> str | None:
    with suppress(ValueError, RecursionError):
        text = json.loads(line)
        return text if isinstance(text, str) else None
    return None
