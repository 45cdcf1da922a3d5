"""A stranger's JSON: `strict_json` reads it as the standard has it, `read_document` a small file of it with bounds."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gemsmith.errors import ConfigError
from gemsmith.files import read_bytes

MAX_BYTES = 1 << 20  # released files have 5 KB; quantised ones, with a word on every tensor, up to some 150 KB
MAX_VALUES = 100_000
MAX_DEPTH = 64


def read_document(path: Path) -> dict[str, Any]:
    """The JSON object in the file; raises ConfigError that names the file and what is wrong."""
    return parse_document(read_bytes(path, MAX_BYTES, ConfigError), str(path))


@contextmanager
def blaming(path: Path) -> Iterator[None]:
    """ConfigErrors from here say which file holds what they complain about."""
    try:
        yield
    except ConfigError as error:
        raise error if str(path) in str(error) else ConfigError(f"{path}: {error}") from error


def parse_document(data: bytes, name: str) -> dict[str, Any]:
    """The JSON object in `data`; `name` is what messages call it."""
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > MAX_VALUES:
        raise ConfigError(f"{name} holds more than {MAX_VALUES:,} values; that is no config of a model")
    try:
        document = strict_json(data)
    except RecursionError:
        raise ConfigError(f"{name} is nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:  # bad JSON, bad UTF-8, an integer of thousands of digits
        raise ConfigError(f"{name} is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{name} must hold a JSON object, found {type(document).__name__}")
    _check_depth(document, name)
    return document


def strict_json(data: bytes | str) -> Any:
    """A JSON value; ValueError or RecursionError also for a key twice, NaN, and what is no finite number."""
    return json.loads(data, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant, parse_float=_finite)


def _check_depth(document: Any, name: str) -> None:
    level = [document]
    for _ in range(MAX_DEPTH):
        values = [v for node in level for v in (node.values() if isinstance(node, dict) else node)]
        level = [value for value in values if isinstance(value, (dict, list))]
    if level:
        raise ConfigError(f"{name} is nested deeper than {MAX_DEPTH} levels")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:60]!r} stands twice in one object")
    return out


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:60]} is too large for a number")
    return value
