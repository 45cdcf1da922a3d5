"""Answers on their way to disk: nothing half-written is ever visible, and nothing finished is done again.

OUT.part holds answer lines and nothing else, each appended whole; OUT.part.json beside it says to which input and
settings they belong. At the end OUT.part takes the name OUT in one step, and OUT.part.json goes. So at any instant

    OUT.part  OUT.part.json   means
    -         -               nothing was begun, or all is finished
    empty     -               begun this moment
    yes       yes             at work, or stopped: goes on behind the last whole line
    -         yes             finished this moment: OUT is whole

A killed process loses nothing it has written: that is in the system's page cache, which outlives it. Only a power cut
or a crash of the system can take what was not yet synced, so every second's lines are, and at most about a second's
work is done again; a line that such a cut left torn or full of zeros is found when the batch goes on, and dropped.

Expects to be alone: whoever opens a Work holds a lock on it.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemsmith.engine.batch.identity import difference
from gemsmith.engine.batch.record import is_failure
from gemsmith.errors import GemsmithError
from gemsmith.files import read_bytes, regular_file, sync_folder

FORMAT = {"format": "gemsmith batch", "version": 1}
MAX_HEAD = 1 << 24
SYNC_S = 1.0
# in a folder that others may write to, OUT.part may be a link to a file of ours, or a pipe that nobody reads
SAFELY = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True)
class Begun:
    """What was there already. `is_finished`: all of it, under its final name."""

    num_lines: int = 0
    num_errors: int = 0
    is_finished: bool = False


class Work:
    """The output of one batch until it is whole."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.part = out.with_name(f"{out.name}.part")
        self.head = out.with_name(f"{out.name}.part.json")
        self._draft = out.with_name(f".{out.name}.part.json.new")
        self._fd = -1
        self._size = 0
        self._synced_s = 0.0
        self._is_dirty = False

    def check(self, *, overwrite: bool, restart: bool) -> None:
        """GemsmithError for a finished output that may not be replaced, or work that nobody can go on with."""
        if self.out.exists() and not self.out.is_file():
            raise GemsmithError(f"{self.out} is no regular file, so a batch cannot end there; '-' means stdout")
        if restart:
            return self._refuse_to_replace(overwrite)
        if self.part.exists() and self.part.stat().st_size and not self.head.exists():
            raise GemsmithError(
                f"{self.part} is there, but not {self.head.name}, which says what it belongs to; move it away, or throw"
                " it away with --restart"
            )
        if not self.head.exists():
            self._refuse_to_replace(overwrite)

    def begin(self, identity: Mapping[str, Any], *, overwrite: bool, restart: bool) -> Begun:
        """Go on with what was begun for the same identity, or begin; GemsmithError if it was begun for another one."""
        if restart:
            self._throw_away()
        if self.head.exists():
            before = self._read_head()
            is_same = before is not None and difference(before, identity) is None
            if self.part.exists():
                if not is_same:
                    raise GemsmithError(self._is_another(before, identity))
                return self._go_on()
            if is_same and self.out.exists():
                return self._was_finished()
            self.head.unlink()  # of an output that has since been taken away, or is another's
        self._refuse_to_replace(overwrite)
        self._start(identity)
        return Begun()

    def append(self, line: bytes) -> None:
        """Add a whole line; where there is no room for it, leave none of it."""
        try:
            written = 0
            while written < len(line):
                written += os.write(self._fd, line[written:])
        except OSError as cause:
            with suppress(OSError):
                os.ftruncate(self._fd, self._size)
            raise GemsmithError(
                f"cannot write {self.part}: {cause.strerror or cause}; what it holds is kept, and the same command goes"
                " on from there"
            ) from cause
        self._size += len(line)
        self._is_dirty = True
        self.beat()

    def beat(self) -> None:
        """Bring what was written to the disk, if that was not just done."""
        if self._is_dirty and time.monotonic() - self._synced_s >= SYNC_S:
            self._sync()

    def finish(self) -> None:
        """Give the whole output its name."""
        self._sync()
        self._close()
        try:
            os.replace(self.part, self.out)
        except OSError as cause:
            raise GemsmithError(f"cannot name {self.part} {self.out.name}: {cause.strerror or cause}") from cause
        sync_folder(self.out.parent)
        self.head.unlink(missing_ok=True)

    def stop(self) -> None:
        """Leave things so that the next run goes on from here."""
        if self._fd >= 0:
            self._sync()
            self._close()

    def _refuse_to_replace(self, overwrite: bool) -> None:
        if self.out.exists() and not overwrite:
            raise GemsmithError(f"{self.out} is there already; --overwrite replaces it once the new one is whole")

    def _start(self, identity: Mapping[str, Any]) -> None:
        """First an empty OUT.part, then its head: a head alone means that all is finished."""
        self._open(os.O_CREAT | os.O_TRUNC)
        os.fsync(self._fd)
        self._draft.unlink(missing_ok=True)
        with open(self._draft, "xb") as file:  # never through a link that somebody laid there
            file.write(json.dumps({**FORMAT, "belongs_to": dict(identity)}, ensure_ascii=True, indent=1).encode())
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self.out.parent)
        os.replace(self._draft, self.head)
        sync_folder(self.out.parent)

    def _go_on(self) -> Begun:
        """Count the whole lines, and cut off what follows them."""
        self._open(0)
        begun, size = self._counted(self.part)
        os.ftruncate(self._fd, size)
        self._size = os.lseek(self._fd, size, os.SEEK_SET)
        return begun

    def _was_finished(self) -> Begun:
        begun, _ = self._counted(self.out)
        self.head.unlink()
        return Begun(begun.num_lines, begun.num_errors, is_finished=True)

    def _counted(self, path: Path) -> tuple[Begun, int]:
        """The whole lines at the start of a file, and how many bytes they are."""
        num_lines = num_errors = size = 0
        with regular_file(path, GemsmithError) as (file, _):
            for line in file:
                try:
                    failed = line.endswith(b"\n") and is_failure(json.loads(line))
                except (ValueError, TypeError, KeyError):  # zeros, or half a line, after a power cut
                    break
                if not line.endswith(b"\n"):
                    break
                num_lines, num_errors, size = num_lines + 1, num_errors + failed, size + len(line)
        return Begun(num_lines, num_errors), size

    def _read_head(self) -> dict[str, Any] | None:
        try:
            found = json.loads(read_bytes(self.head, MAX_HEAD, GemsmithError))
            belongs_to = found["belongs_to"]
        except (ValueError, KeyError, TypeError, RecursionError, GemsmithError):
            return None
        version = found.get("version")
        return belongs_to if isinstance(belongs_to, dict) and version == FORMAT["version"] else None

    def _is_another(self, before: Mapping[str, Any] | None, identity: Mapping[str, Any]) -> str:
        where = difference(before, identity) if before is not None else f"{self.head.name} that cannot be read"
        begun, _ = self._counted(self.part)
        return (
            f"{self.part} was begun with {where}; give the same again to go on, name another output, or throw its"
            f" {begun.num_lines} answer{'s' * (begun.num_lines != 1)} away with --restart"
        )

    def _throw_away(self) -> None:
        """Empty the part before its head goes: a head alone would mean that OUT is whole."""
        self._open(os.O_CREAT | os.O_TRUNC)
        self._sync()
        self._close()
        self.head.unlink(missing_ok=True)

    def _open(self, flags: int) -> None:
        try:
            self._fd = os.open(self.part, os.O_WRONLY | flags | SAFELY, 0o666)
        except OSError as cause:
            raise GemsmithError(
                f"cannot write {self.part}: {cause.strerror or cause}; choose another output"
            ) from cause
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):  # a pipe that somebody reads
            self._close()
            raise GemsmithError(f"cannot write {self.part}: it is no regular file; choose another output")

    def _sync(self) -> None:
        os.fsync(self._fd)
        self._is_dirty, self._synced_s = False, time.monotonic()

    def _close(self) -> None:
        os.close(self._fd)
        self._fd = -1
