"""Conversations on disk: a JSON file each, in the user's data folder or where a path says.

A file appears whole or not at all, for its owner's eyes only; what it takes the place of is kept as NAME~ when asked.
A name stands for a file of the folder and can lead nowhere else. Files are read as a stranger's: bounded, and checked.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from gemsmith.chat.record import from_record, to_record
from gemsmith.chat.values import Message
from gemsmith.cli.chat.conversation import Conversation
from gemsmith.cli.folders import data_folder, private_folder
from gemsmith.config.document import strict_json
from gemsmith.errors import GemsmithError
from gemsmith.files import atomic_file, read_bytes

FORMAT = "gemsmith conversation"
VERSION = 1
MAX_BYTES = 16 << 20  # some four million tokens
MAX_VALUES = 1_000_000
MAX_NAME_BYTES = 100
NOT_IN_NAMES = '/\\:*?"<>|'


def path_of(name: str) -> Path:
    """The file that a name, or a path (it has a slash, or ends in .json), stands for; GemsmithError for neither."""
    if not name.isprintable() or not name.strip():
        raise GemsmithError(f"{name!r} is no name for a conversation: it has characters that cannot be seen")
    if ".." in name.replace("\\", "/").split("/"):
        raise GemsmithError(f"{name!r} leads out of its folder with '..'; give the whole path instead")
    if "/" in name or name.endswith(".json"):
        return Path(os.path.abspath(os.path.expanduser(name)))
    if name.startswith((".", "-")) or any(char in NOT_IN_NAMES for char in name):
        raise GemsmithError(f"{name!r} is no name for a conversation: no . or - first, and none of {NOT_IN_NAMES}")
    if len(os.fsencode(name)) > MAX_NAME_BYTES:
        raise GemsmithError(
            f"a conversation's name has at most {MAX_NAME_BYTES} bytes, this one {len(os.fsencode(name))}"
        )
    return folder() / f"{name}.json"


def folder() -> Path:
    """Where named conversations are."""
    return data_folder() / "conversations"


def names() -> list[str]:
    """The names of all conversations in the folder, the last used first."""
    try:
        with os.scandir(folder()) as entries:
            files = [(e.stat().st_mtime_ns, e.name) for e in entries if e.name.endswith(".json") and e.is_file()]
    except OSError:
        return []
    found = [name.removesuffix(".json") for _, name in sorted(files, reverse=True)]
    return [name for name in found if not name.startswith(".") and name.isprintable()]


def save(path: Path, conversation: Conversation, *, model: str, saved_as: str | None = None) -> None:
    """Write a conversation whole or not at all. `saved_as` is the name under which `last` goes on."""
    document = {"format": FORMAT, "version": VERSION, "model": model, "saved_at": now(), "saved_as": saved_as}
    data = encoded(document | to_document(conversation))
    if len(data) > MAX_BYTES:
        raise GemsmithError(f"this conversation has {len(data):,} bytes, more than the {MAX_BYTES:,} that can be saved")
    _write(path, data)


def keep_copy(path: Path) -> Path | None:
    """Keep what is at `path` as NAME~, if anything is."""
    if not path.is_file():
        return None
    copy = path.with_name(f"{path.stem}~{path.suffix}")
    _write(copy, read_bytes(path, MAX_BYTES, GemsmithError))
    return copy


def _write(path: Path, data: bytes) -> None:
    if path.parent == folder():
        private_folder(path.parent)
    try:
        with atomic_file(path, mode=0o600) as file:
            file.write(data)
    except OSError as cause:
        raise GemsmithError(f"cannot write {path}: {cause.strerror or cause}; save it elsewhere, by a path") from cause


def load(path: Path) -> tuple[Conversation, dict[str, Any]]:
    """A saved conversation, and all that its file says; GemsmithError if it is none."""
    if not path.exists() and path.parent == folder():
        raise GemsmithError(f"no conversation is saved as {path.stem!r}{_nearest(path.stem)}")
    document = decoded(read_bytes(path, MAX_BYTES, GemsmithError), path)
    if document.get("format") != FORMAT:
        raise GemsmithError(f"{path} is no saved conversation: it has no format {FORMAT!r}")
    if document.get("version") != VERSION:
        raise GemsmithError(
            f"{path} is a conversation of version {document.get('version')!r:.20}, and this gemsmith reads version"
            f" {VERSION}; read it with the one that wrote it"
        )
    try:
        return from_document(document), document
    except GemsmithError as error:
        raise GemsmithError(f"{path} is damaged: {error}") from error


def to_document(conversation: Conversation) -> dict[str, Any]:
    """A conversation as JSON has it. An answer that was stopped by hand is marked."""
    messages = [to_record(message) | _mark(message) for message in conversation.messages]
    return {
        "system": conversation.system,
        "think": conversation.think,
        "tools": conversation.tools,
        "forgotten": conversation.forgotten,
        "messages": messages,
    }


def _mark(message: Message) -> dict[str, Any]:
    return {"stopped": True} if message.role == "assistant" and message.finish_reason is None else {}


def from_document(document: dict[str, Any]) -> Conversation:
    """The conversation that a document describes, checked."""
    messages = [from_record(record) for record in _value(document, "messages", list, [])]
    forgotten = _value(document, "forgotten", int, 0)
    if not 0 <= forgotten <= len(messages) or (0 < forgotten < len(messages) and messages[forgotten].role != "user"):
        raise GemsmithError(f"forgotten must lead to one of its {len(messages)} messages that asks, found {forgotten}")
    if any(message.role == "system" for message in messages):
        raise GemsmithError("a system message stands among its messages; it belongs into system")
    tools = _value(document, "tools", list, [])
    if not all(isinstance(tool, dict) for tool in tools):
        raise GemsmithError("tools must be a list of objects")
    system = _value(document, "system", str, None)
    return Conversation(system, _value(document, "think", bool, False), tools, messages, forgotten)


def _value(document: dict[str, Any], key: str, kind: type, default: Any) -> Any:
    value = document.get(key)
    if value is None:
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise GemsmithError(f"{key} must be {NAMES[kind]}, found {type(value).__name__}")
    return value


NAMES = {list: "a list", int: "a whole number", str: "a string", bool: "true or false"}


def encoded(document: dict[str, Any]) -> bytes:
    """Strict JSON in UTF-8; half a surrogate pair, which UTF-8 has no form for, is written as an escape."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(document, allow_nan=False, indent=1).encode() + b"\n"


def decoded(data: bytes, path: Path) -> dict[str, Any]:
    """The JSON object in a file; its values are counted before any is made."""
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > MAX_VALUES:
        raise GemsmithError(f"{path} is no saved conversation: it holds more than {MAX_VALUES:,} values")
    try:
        document = strict_json(data)
    except (ValueError, RecursionError) as error:
        raise GemsmithError(f"{path} is no saved conversation: it is not JSON ({error})") from None
    if not isinstance(document, dict):
        raise GemsmithError(f"{path} is no saved conversation: it holds {type(document).__name__}, not an object")
    return document


def _nearest(name: str) -> str:
    from gemsmith.cli.main import nearest

    known = names()
    return nearest(name, known[:20]) if known else "; none is saved yet"


def now() -> str:
    """The time in UTC, as ISO 8601 writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
