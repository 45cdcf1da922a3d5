"""Where a conversation is kept: under its name after every answer, and always as `last`, so that nothing is lost.

Two programs never write one file: a name is locked while it is in use, and a second chat keeps its own as `last-2`.
"""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gemsmith.cli import conversations
from gemsmith.cli.chat.conversation import Conversation
from gemsmith.cli.folders import private_folder, state_folder
from gemsmith.errors import GemsmithError

if TYPE_CHECKING:
    from filelock import BaseFileLock

Check = Callable[[Conversation], None]
LAST = "last"
MOST_AT_ONCE = 100


class Keeper:
    """Saves one conversation. What goes wrong with saving is told once, and ends no conversation."""

    def __init__(self, model: str, *, tell: Callable[[str], None], autosaves: bool = True) -> None:
        self._model, self._tell, self._autosaves = model, tell, autosaves
        self.name: str | None = None  # what the person called it
        self._path: Path | None = None
        self._lock: BaseFileLock | None = None
        self._last: tuple[Path, BaseFileLock] | None = None
        self._complaint = ""
        self.is_kept = False  # whether the last answer is on the disk

    def keep(self, conversation: Conversation) -> bool:
        """Save after an answer; whether it is on the disk, under its name if it has one."""
        try:
            if self._path is not None:
                conversations.save(self._path, conversation, model=self._model)
            if self._autosaves:
                conversations.save(self._last_path(), conversation, model=self._model, saved_as=self.name)
        except GemsmithError as error:
            if str(error) != self._complaint:
                self._tell(f"not saved: {error}")
            self._complaint = str(error)
            self.is_kept = False
            return False
        self._complaint = ""
        self.is_kept = self._autosaves or self._path is not None
        return self.is_kept

    def save_as(self, name: str, conversation: Conversation) -> Path | None:
        """Keep it under `name` from now on; the copy of what was there before, if anything was."""
        copy = None
        path = self._checked(name)
        if path != self._path:
            lock = locked(path)
            try:
                copy = conversations.keep_copy(path)
                conversations.save(path, conversation, model=self._model)
            except BaseException:
                lock.release()
                raise
            self._take(name, path, lock)
        else:
            conversations.save(path, conversation, model=self._model)
        return copy

    def open(self, name: str, *, create: bool = False, check: Check = lambda conversation: None) -> Conversation:
        """Go on with a saved conversation that `check` lets pass; with `create`, begin one where there is none."""
        if is_autosave(name):
            return self._go_on(conversations.path_of(name), check)
        path = self._checked(name)
        lock = self._lock if path == self._path else locked(path)
        try:
            if create and not path.exists():
                conversation = Conversation()
                conversations.save(path, conversation, model=self._model)
            else:
                conversation, _ = conversations.load(path)
            check(conversation)
        except BaseException:
            if lock is not None and lock is not self._lock:
                lock.release()
            raise
        self._take(name, path, lock)
        return conversation

    def open_latest(self) -> Conversation:
        """Go on with the conversation used last, whatever it is called."""
        names = conversations.names()
        if not names:
            raise GemsmithError("there is no conversation to continue yet; start one with: gemsmith run MODEL")
        return self.open(names[0])

    def let_go(self) -> None:
        """What comes now is another conversation, and has no name yet."""
        self._take(None, None, None)

    def close(self) -> None:
        """Let others use the names."""
        self.let_go()
        if self._last is not None:
            self._last[1].release()
            self._last = None

    def _go_on(self, path: Path, check: Check) -> Conversation:
        """What was kept by itself; under its name, if it had one whose file still is there."""
        conversation, document = conversations.load(path)
        name = document.get("saved_as")
        if isinstance(name, str) and is_saved(name):
            return self.open(name, check=check)
        check(conversation)
        self.let_go()
        return conversation

    def _take(self, name: str | None, path: Path | None, lock: BaseFileLock | None) -> None:
        if self._lock is not None and self._lock is not lock:
            self._lock.release()
        self.name, self._path, self._lock = name, path, lock

    @staticmethod
    def _checked(name: str) -> Path:
        if is_autosave(name):
            raise GemsmithError(f"{name!r} is what conversations are saved as by themselves; choose another name")
        return conversations.path_of(name)

    def _last_path(self) -> Path:
        """`last`, or where another chat is using that, the first of `last-2` and so on that is free."""
        if self._last is None:
            self._last = first_free()
        return self._last[0]


def is_autosave(name: str) -> bool:
    """Whether a name is one that conversations get by themselves."""
    return re.fullmatch(rf"{LAST}(-\d+)?", name) is not None


def is_saved(name: str) -> bool:
    """Whether a conversation of that name, or at that path, is there."""
    try:
        return conversations.path_of(name).exists()
    except GemsmithError:
        return False


def first_free() -> tuple[Path, BaseFileLock]:
    """The first name for autosaving that no running chat uses, locked."""
    for number in range(1, MOST_AT_ONCE + 1):
        path = conversations.path_of(LAST if number == 1 else f"{LAST}-{number}")
        try:
            return path, locked(path)
        except InUse:
            continue
    raise GemsmithError(f"{MOST_AT_ONCE} chats are running already; end one of them")


class InUse(GemsmithError):
    """Another program has the conversation open."""


def locked(path: Path) -> BaseFileLock:
    """The lock of a conversation's file, taken; InUse if somebody has it. A killed program's lock is free."""
    from filelock import FileLock, Timeout

    key = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    lock: BaseFileLock = FileLock(private_folder(state_folder() / "locks") / f"{key}.lock", mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InUse(f"{path.stem} is open in another gemsmith; end that one first, or choose another name") from None
    except (OSError, NotImplementedError) as cause:
        raise GemsmithError(
            f"cannot lock {path}: {getattr(cause, 'strerror', None) or cause}; save it elsewhere, by a path"
        ) from cause
    sweep(path)
    return lock


def sweep(path: Path) -> None:
    """Remove what a killed program left of a file it was writing; under the lock nobody is writing it now."""
    if path.parent != conversations.folder():
        return  # elsewhere, files that look alike may be a person's own
    with suppress(OSError):
        for part in path.parent.glob(f".{glob.escape(path.name)}.*"):
            part.unlink(missing_ok=True)
