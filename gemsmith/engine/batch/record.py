"""The line that answers a line: an answer or an error, in the form that was asked in, as bytes of strict JSON.

Nothing in it depends on when or how often the batch was run: ids are made from the line, and times stay out.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from gemsmith.chat.record import to_record
from gemsmith.chat.values import Message
from gemsmith.engine.batch import openai
from gemsmith.engine.batch.lines import Line
from gemsmith.engine.batch.request import IDS, check_id
from gemsmith.errors import GemsmithError, RequestError

INTERNAL = "internal"
MEMORY = "MemoryError"
# breaks to `str.splitlines`, though none to JSON Lines: escaped, so that no reader sees two lines
BREAKS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


@dataclass(frozen=True)
class Envelope:
    """To whom an answer goes: the line's own id or its number, its form, and the digits its other ids are made of."""

    name: tuple[str, Any]
    is_openai: bool
    token: str

    @classmethod
    def of(cls, line: Line, value: Any = None) -> Envelope:
        """Of a line, as far as it could be read: `value` is None where it could not."""
        token = hashlib.sha256(b"%d " % line.number + (line.data or b"")).hexdigest()[:24]
        is_openai = openai.is_openai(value)
        name: tuple[str, Any] = ("custom_id", None) if is_openai else ("line", line.number)
        for key in reversed(IDS if isinstance(value, dict) else ()):
            if is_id(value.get(key)):
                name = (key, value[key])
        return cls(name, is_openai, token)

    def answered(self, message: Message, model: str) -> bytes:
        """The answer."""
        if self.is_openai:
            return encoded(openai.answered(message, self.name[1], self.token, model))
        record = to_record(message)
        usage, reason = record.pop("usage", None), record.pop("finish_reason", None)
        said = {"reply": record, "text": message.text, "finish_reason": reason, "usage": usage}
        return encoded({self.name[0]: self.name[1], **said})

    def failed(self, exception: Exception) -> bytes:
        """Why there is none."""
        kind, text = told(exception)
        if self.is_openai:
            return encoded(openai.failed((kind, text), exception, self.name[1], self.token))
        return encoded({self.name[0]: self.name[1], "error": {"type": kind, "message": text}})


def is_id(value: Any) -> bool:
    """Whether a value may be repeated as a line's id."""
    try:
        check_id("id", value)
    except RequestError:
        return False
    return True


def told(exception: Exception) -> tuple[str, str]:
    """The kind of an error and its words. Other errors than ours are bugs of ours."""
    if isinstance(exception, GemsmithError):
        return type(exception).__name__, str(exception)
    if out_of_memory(exception):
        return MEMORY, "there was not enough memory for this line; shorten it, or load the model with less max_context"
    return INTERNAL, f"{type(exception).__name__}: {str(exception)[:200]} (a bug of gemsmith's: please report it)"


def out_of_memory(exception: Exception) -> bool:
    """Python's own, and those of array libraries, which have no class in common."""
    words = str(exception)
    return (
        isinstance(exception, MemoryError)
        or type(exception).__name__ == "OutOfMemoryError"
        or (isinstance(exception, RuntimeError) and ("can't allocate memory" in words or "out of memory" in words))
    )


def encoded(record: dict[str, Any]) -> bytes:
    """One line of UTF-8."""
    try:
        return json.dumps(record, ensure_ascii=False, allow_nan=False).translate(BREAKS).encode() + b"\n"
    except UnicodeEncodeError:  # an error that quotes half a character
        return json.dumps(record, allow_nan=False).encode() + b"\n"


def is_failure(record: Any) -> bool:
    """Whether a line that `answered` or `failed` wrote is the latter."""
    if not isinstance(record, dict):
        raise TypeError("an answer line is an object")
    if "response" in record:
        return bool(record["response"]["status_code"] != 200)
    return "error" in record
