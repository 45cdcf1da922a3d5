"""JSON objects to frozen dataclasses and back: types checked, unknown keys kept, nothing else."""

from __future__ import annotations

import types
import typing
from collections.abc import Collection, Mapping
from dataclasses import MISSING, Field, fields
from functools import cache
from typing import Any

from gemsmith.errors import ConfigError

JSON_NAMES: dict[Any, str] = {type(None): "null", tuple: "a list", Mapping: "an object"}


def check(name: str, value: Any, kind: type | tuple[type, ...], low: float, high: float) -> Any:
    """Return `value` if it is a `kind` within [low, high] (NaN is not); else raise ConfigError naming `name`."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if isinstance(value, bool) or not any(isinstance(value, k) for k in kinds) or not low <= value <= high:
        wanted = " or ".join(k.__name__ for k in kinds)
        raise ConfigError(f"{name} must be {wanted} from {low} to {high}, found {shown(value)}")
    return value


def fields_from_json(
    cls: type, data: Mapping[str, Any], where: str, skip: Collection[str] = ("extra",)
) -> dict[str, Any]:
    """Keyword arguments for dataclass `cls`; keys it does not know go, as they are, into its field `extra`.

    A null where the field takes none means what an absent key means: the default. Fields in `skip` are not read.
    """
    hints = _hints(cls)
    known: dict[str, Any] = {}
    named = {field.name for field in fields(cls)} - set(skip)
    for field in fields(cls):
        if field.name not in named:
            continue
        value = data.get(field.name)
        if value is not None or (field.name in data and _takes_null(hints[field.name])):
            known[field.name] = _typed(f"{where}.{field.name}", value, hints[field.name])
        elif _is_required(field):
            raise ConfigError(f"{where}.{field.name} is missing; is this a Gemma 4 config.json?")
    known["extra"] = {key: plain(value) for key, value in data.items() if key not in named}
    return known


def fields_to_json(value: Any) -> dict[str, Any]:
    """Fields of a dataclass as JSON values, in order, followed by its `extra` keys."""
    out = {f.name: plain(getattr(value, f.name)) for f in fields(value) if f.name != "extra"}
    return {**out, **plain(value.extra)}


def with_dtype(data: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which `torch_dtype`, the older name of `dtype`, has given way to it."""
    out = dict(data)
    if (older := out.pop("torch_dtype", None)) is not None and out.get("dtype") is None:
        out["dtype"] = older
    return out


def plain(value: Any) -> Any:
    """A copy made of what JSON has: tuples as lists, mappings as dictionaries."""
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    return value


def _typed(name: str, value: Any, hint: Any) -> Any:
    """`value` as `hint` wants it: lists become tuples, ints pass for floats; anything else must match."""
    options = _options(hint)
    for option in options:
        origin = typing.get_origin(option) or option
        if origin is type(None) and value is None:
            return None
        if origin is tuple and isinstance(value, (list, tuple)):
            inner = typing.get_args(option)[0]
            return tuple(_typed(f"{name}[{i}]", v, inner) for i, v in enumerate(value))
        if origin is float and isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300:
            return float(value)
        if origin is Mapping and isinstance(value, Mapping):
            return plain(value)
        if isinstance(origin, type) and isinstance(value, origin) and (origin is bool or not isinstance(value, bool)):
            return value
    wanted = " or ".join(JSON_NAMES.get(typing.get_origin(o) or o, getattr(o, "__name__", str(o))) for o in options)
    raise ConfigError(f"{name} must be {wanted}, found {shown(value)}")


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _options(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _takes_null(hint: Any) -> bool:
    return type(None) in _options(hint)


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def shown(value: Any) -> str:
    """`value` in at most 60 characters, also when it is a very long integer or list."""
    try:
        text = repr(value if not isinstance(value, (list, tuple)) else value[:20])
    except ValueError:  # an integer too long to be spelled
        return f"an int of {value.bit_length()} bits" if isinstance(value, int) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."
