"""Random JSON schemas with references, unions, nullables, tuples and whatever else declarations do not know."""

from __future__ import annotations

import random
from typing import Any

NAMES = ("a", "b", "items", "type", "required", "properties", "Z")


def parameters(seed: int) -> dict[str, Any]:
    """An object schema whose definitions refer to one another and to themselves."""
    rng = random.Random(seed)
    again = {"type": "object", "properties": {"c": {"$ref": "#/$defs/C"}}}
    defs = {"A": schema(rng, 1), "B": schema(rng, 1), "C": again}
    return {"type": "object", "properties": _properties(rng, -1), "$defs": defs}


def schema(rng: random.Random, depth: int) -> dict[str, Any]:
    if depth > 3:
        return {"type": "string"}
    made = dict(rng.choice((_union, _reference, _values, _object, _object, _array, _array, _plain, _plain))(rng, depth))
    extras = {"description": "x: y", "nullable": True, "title": "T", "default": {}}
    return made | {key: value for key, value in extras.items() if rng.random() < 0.2}


def _properties(rng: random.Random, depth: int) -> dict[str, Any]:
    return {name: schema(rng, depth + 1) for name in rng.sample(NAMES, rng.randint(0, 3))}


def _union(rng: random.Random, depth: int) -> dict[str, Any]:
    branches = [schema(rng, depth + 1) for _ in range(rng.randint(1, 3))] + rng.choice(([], [{"type": "null"}]))
    types = rng.choice((["string", "null"], ["integer", "object", "null"], ["array", "string"]))
    listed = {"type": types, "items": schema(rng, depth + 1), "properties": _properties(rng, depth)}
    return rng.choice(({"anyOf": branches}, {"oneOf": branches}, {"allOf": branches}, listed))


def _reference(rng: random.Random, depth: int) -> dict[str, Any]:
    return {"$ref": rng.choice(("#/$defs/A", "#/$defs/B", "#/$defs/C"))}


def _values(rng: random.Random, depth: int) -> dict[str, Any]:
    return rng.choice(({"enum": rng.sample(("x", 1, None, 2.5, True, "y"), 3)}, {"const": rng.choice(("x", 1, None))}))


def _object(rng: random.Random, depth: int) -> dict[str, Any]:
    named = {"properties": _properties(rng, depth), "required": rng.sample(NAMES, rng.randint(0, 2))}
    further = {"additionalProperties": rng.choice((True, False, {}, schema(rng, depth + 1)))}
    return {"type": "object"} | rng.choice((named, named, further, named | further))


def _array(rng: random.Random, depth: int) -> dict[str, Any]:
    ordered = {"prefixItems": [schema(rng, depth + 1), schema(rng, depth + 1)]}
    return {"type": "array"} | rng.choice(({"items": schema(rng, depth + 1)}, ordered, {}))


def _plain(rng: random.Random, depth: int) -> dict[str, Any]:
    return rng.choice(({}, {"type": "string"}, {"type": "integer"}, {"type": "BOOLEAN"}, {"type": "number"}))
