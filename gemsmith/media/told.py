"""How a value that somebody gave is named in an error: short, and with nothing of this machine in it."""

from __future__ import annotations


def told(value: object) -> str:
    """Numbers, text and a few of them as they are, up to 80 characters; else the type: a repr can hold addresses."""
    if isinstance(value, int) and not _is_plain(value):
        return f"an int of {value.bit_length()} bits"
    is_few = isinstance(value, (tuple, list, set)) and len(value) <= 8 and all(map(_is_plain, value))
    return f"{value!r:.80}" if is_few or _is_plain(value) else f"a {type(value).__name__}"


def _is_plain(value: object) -> bool:
    """Whether a repr is short work: Python refuses to write integers of thousands of digits."""
    return value is None or type(value) in (bool, float, str) or (type(value) is int and value.bit_length() <= 256)
