"""One line of a stranger's JSON Lines: a JSON value, or a RequestError that says what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

from gemsmith.config.document import strict_json
from gemsmith.errors import RequestError

MAX_DEPTH = 64


def parse(data: bytes) -> Any:
    """The value in `data`: UTF-8, no key twice in an object, finite numbers, bounded depth, whole characters."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RequestError(
            f"not UTF-8 text: byte 0x{data[error.start]:02x} at position {error.start + 1}; save the file as UTF-8"
        ) from None
    try:
        value = strict_json(text)
    except RecursionError:
        raise RequestError(f"nested deeper than {MAX_DEPTH} levels") from None
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" starting at")  # Python's words expect the place behind them, some with an "at"
        raise RequestError(f"not valid JSON: {what} at character {error.pos + 1}") from None
    except ValueError as error:  # a key twice, NaN, an integer of thousands of digits
        raise RequestError(f"not valid JSON: {error}") from None
    _check(value, has_escapes="\\u" in text)
    return value


def _check(value: Any, *, has_escapes: bool) -> None:
    """RequestError for what JSON's grammar allows and nothing here can use."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        if has_escapes:  # text that was UTF-8 has no half characters of its own
            _check_characters(level)
        keys_and_values = [
            [*each, *each.values()] if isinstance(each, dict) else each
            for each in level
            if isinstance(each, (dict, list))
        ]
        if not keys_and_values:
            return
        level = [each for values in keys_and_values for each in values]
    raise RequestError(f"nested deeper than {MAX_DEPTH} levels")


def _check_characters(values: list[Any]) -> None:
    for text in values:
        if isinstance(text, str) and not text.isascii():
            half = next((char for char in text if "\ud800" <= char <= "\udfff"), None)
            if half is not None:
                raise RequestError(f"\\u{ord(half):04x} stands alone, and is half of a character; write both halves")
