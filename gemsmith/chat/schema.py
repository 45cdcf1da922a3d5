"""JSON Schema made plain: references, unions and nullables resolved so that no name and no type is lost.

Gemma's declarations know types, descriptions, string enums, items, properties, required and `nullable`; the canonical
template writes nothing, or an empty type, for everything else (vllm#39108, vllm#43762: what Pydantic users met). A
schema that needs no resolving comes out as it went in: its declaration is the template's own. What is resolved becomes:

    $ref, allOf             what they refer to, in place; a type inside itself becomes "Another NAME, as above."
    null in a union         nullable: true; the other branches as if null were not there
    union of objects        one object with the properties of all, required where all require it
    union of arrays         an array whose items are the union
    union of enums          one enum
    any other union         the types joined (INTEGER|STRING), with an outline of the branches in the description
    const                   an enum of one
    nothing said of type    what the keywords imply, else ANY

What only a property's place in the template drops is `fit`'s concern, below.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from gemsmith.errors import ToolError

Schema = dict[str, Any]
MAX_PARTS = 4096  # what a schema may grow to when its references are written out
MAX_DEPTH = 48
ANNOTATIONS = ("description", "default", "nullable", "deprecated", "examples")
WORDS: dict[str, Any] = {
    "type": (str, list, tuple),
    "description": (str, type(None)),
    **dict.fromkeys(("properties", "patternProperties"), Mapping),
    **dict.fromkeys(("required", "enum", "anyOf", "oneOf", "allOf", "prefixItems"), (list, tuple)),
}
SCALARS = {str: "string", bool: "boolean", int: "integer", float: "number"}


def resolve(schema: Any, *, root: Any = None, name: str = "tool") -> Schema:
    """The schema without references, unions or type lists. `root` holds `$defs`; `name` is for errors."""
    return _Resolver(schema if root is None else root, name).resolve(schema, ())


class _Resolver:
    """One resolution: the document that references point into, and how much has been written so far."""

    def __init__(self, root: Any, name: str):
        self.root, self.name, self.num_parts = root, name, 0

    def resolve(self, schema: Any, refs: tuple[str, ...], depth: int = 0) -> Schema:
        """One schema and all below it. `refs` are the references that led here."""
        self._count(depth)
        if isinstance(schema, bool):
            return {}
        if not isinstance(schema, Mapping):
            raise ToolError(f"{self.name}: a schema is a mapping, not {schema!r}")
        schema = {key: value for key, value in schema.items() if key not in ("$defs", "definitions", "$schema", "$id")}
        _check_words(schema, self.name)
        if "$ref" in schema:
            return self._reference(schema, refs, depth)
        if "allOf" in schema:
            own = {key: value for key, value in schema.items() if key != "allOf"}
            return combined([self.resolve(branch, refs, depth + 1) for branch in (*schema["allOf"], own)])
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                return self._any(schema, keyword, refs, depth)
        if isinstance(schema.get("type"), (list, tuple)):
            rest = {key: value for key, value in schema.items() if key not in ("type", *ANNOTATIONS)}
            branches = [_only(rest, kind) for kind in schema["type"]]
            outer = {key: schema[key] for key in ANNOTATIONS if key in schema}
            return self._any({**outer, "anyOf": branches}, "anyOf", refs, depth)
        return self._plain(schema, refs, depth)

    def _count(self, depth: int) -> None:
        self.num_parts += 1
        if self.num_parts > MAX_PARTS or depth > MAX_DEPTH:
            raise ToolError(
                f"{self.name}: its schema has more than {MAX_PARTS} parts or {MAX_DEPTH} levels once references are"
                " written out; split the tool, or take simpler types"
            )

    def _reference(self, schema: Schema, refs: tuple[str, ...], depth: int) -> Schema:
        ref = schema.pop("$ref")
        target = self._target(ref)
        kind = ref.rsplit("/", 1)[-1].lstrip("#") or "value of this form"
        if ref in refs:
            stub = {"description": f"Another {kind}, as above.", "type": _type(target) or "object"}
            return {**stub, **schema}
        if isinstance(target, Mapping):
            target = {key: value for key, value in target.items() if key != "title"} | schema
        return self.resolve(target, (*refs, ref), depth + 1)

    def _target(self, ref: Any) -> Any:
        """What a JSON pointer into this document points at."""
        if not isinstance(ref, str) or not ref.startswith("#"):
            raise ToolError(f"{self.name}: {ref!r} leads out of its schema; put what it refers to under $defs")
        if ref[1:2] not in ("", "/"):
            raise ToolError(f"{self.name}: {ref!r} is an anchor; refer to its place, such as '#/$defs/NAME'")
        target = self.root
        for step in ref[1:].split("/")[1:]:
            step = unquote(step).replace("~1", "/").replace("~0", "~")
            try:
                target = target[int(step) if isinstance(target, list) else step]
            except (KeyError, IndexError, TypeError, ValueError):
                raise ToolError(f"{self.name}: {ref!r} refers to nothing in its schema") from None
        return target

    def _any(self, schema: Schema, keyword: str, refs: tuple[str, ...], depth: int) -> Schema:
        """A union. What stands beside it holds for every branch; annotations are the whole's."""
        rest = {key: value for key, value in schema.items() if key not in (keyword, "discriminator", "title")}
        own = {key: rest.pop(key) for key in ANNOTATIONS if key in rest}
        branches = [self.resolve(branch, refs, depth + 1) for branch in schema[keyword]]
        if rest:
            shared = self.resolve(rest, refs, depth + 1)
            branches = [combined([branch, shared]) for branch in branches]
        union = self._union(branches, refs, depth)
        return {**union, **described(own, union.get("description"))}

    def _union(self, branches: Sequence[Schema], refs: tuple[str, ...], depth: int) -> Schema:
        values = [branch for branch in branches if kind_of(branch) != "null"]
        is_nullable = len(values) < len(branches) or any(branch.get("nullable") for branch in values)
        values = _distinct({k: v for k, v in branch.items() if k != "nullable"} for branch in values)
        if not values:
            return {"type": "null"}
        union = values[0] if len(values) == 1 else self._merge(values, refs, depth)
        return {**union, "nullable": True} if is_nullable else union

    def _merge(self, values: list[Schema], refs: tuple[str, ...], depth: int) -> Schema:
        kinds = list(dict.fromkeys(kind_of(value) for value in values))
        outlines = list(dict.fromkeys(outlined(value) for value in values))
        outline = {"description": f"One of: {'; '.join(outlines)}."} if len(outlines) > 1 else {}
        if kinds == ["object"] and all("properties" in value for value in values):
            return self._merge_objects(values, refs, depth) | outline
        if kinds == ["array"] and all(value.get("items") for value in values):
            return {"type": "array", "items": self._union(_distinct(value["items"] for value in values), refs, depth)}
        if len(kinds) == 1 and all("enum" in value for value in values):
            return {"type": kinds[0], "enum": _distinct(item for value in values for item in value["enum"])}
        is_bare = all(set(value) <= {"type", "title"} for value in values)
        return {"type": "|".join(kinds)} | ({} if is_bare else outline)

    def _merge_objects(self, values: list[Schema], refs: tuple[str, ...], depth: int) -> Schema:
        names = list(dict.fromkeys(name for value in values for name in value["properties"]))
        properties = {
            name: self._union(_distinct(v["properties"][name] for v in values if name in v["properties"]), refs, depth)
            for name in names
        }
        required = [name for name in names if all(name in value.get("required", ()) for value in values)]
        return {"type": "object", "properties": properties} | ({"required": required} if required else {})

    def _plain(self, schema: Schema, refs: tuple[str, ...], depth: int) -> Schema:
        """A schema of one type, with its parts resolved."""
        if "const" in schema:
            schema["enum"] = [schema.pop("const")]
        if None in schema.get("enum", ()):
            schema["enum"] = [value for value in schema["enum"] if value is not None]
            schema["nullable"] = True
        if schema and "type" not in schema:
            schema["type"] = _implied_type(schema)
        if isinstance(schema.get("items"), (list, tuple)):
            schema["prefixItems"] = schema.pop("items")
        for key in ("properties", "patternProperties"):
            if key in schema:
                schema[key] = {
                    name: self.resolve(value, refs, depth + 1) or {"type": "any"} for name, value in schema[key].items()
                }
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), Mapping):
                schema[key] = self.resolve(schema[key], refs, depth + 1)
        if "prefixItems" in schema:
            schema["prefixItems"] = [self.resolve(value, refs, depth + 1) for value in schema["prefixItems"]]
        return schema


def _check_words(schema: Schema, name: str) -> None:
    for key, value in schema.items():
        is_right = isinstance(value, WORDS.get(key, object))
        if is_right and key in ("type", "required"):
            is_right = all(isinstance(item, str) for item in value)
        if not is_right:
            raise ToolError(f"{name}: {key} cannot be {repr(value)[:60]} in a JSON schema")


def _only(schema: Schema, kind: str) -> Schema:
    """The keywords that say something about one type of a type list."""
    lower = kind.lower()
    belongs = {"object": ("properties", "required", "additionalProperties"), "array": ("items", "prefixItems")}
    others = {key for other, keys in belongs.items() if other != lower for key in keys}
    kept = {key: value for key, value in schema.items() if key not in others}
    if "enum" in kept:
        kept["enum"] = [value for value in kept["enum"] if _implied_type({"enum": [value]}) == lower]
        if not kept["enum"]:
            del kept["enum"]
    return {**kept, "type": kind} if kind.lower() != "null" else {"type": "null"}


def kind_of(schema: Mapping[str, Any]) -> str:
    """The type of a resolved schema. Google writes types in capitals, JSON Schema does not; both are kept as given."""
    return str(schema.get("type", "any")).lower()


def _type(schema: Any) -> str | None:
    """The type a schema names or implies, if it is one."""
    if not isinstance(schema, Mapping):
        return None
    return schema["type"] if isinstance(schema.get("type"), str) else _implied_type(schema, default=None)


def _implied_type(schema: Mapping[str, Any], default: str | None = "any") -> str | None:
    if "properties" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    kinds = {SCALARS.get(type(value)) for value in schema.get("enum", ())}
    return kinds.pop() or default if len(kinds) == 1 else default


def _distinct(values: Iterable[Any]) -> list[Any]:
    kept: list[Any] = []
    for value in values:
        if not any(value == other and type(value) is type(other) for other in kept):
            kept.append(value)
    return kept


def described(schema: Schema, more: str | None) -> Schema:
    """The schema with more said at the end of its description."""
    description = " ".join(filter(None, (schema.get("description"), more)))
    return {**schema, "description": description} if description else schema


def combined(schemas: Iterable[Schema]) -> Schema:
    """What holds if all of these resolved schemas do: properties and required add up, later words win."""
    merged: Schema = {}
    for schema in schemas:
        properties = {**merged.get("properties", {}), **schema.get("properties", {})}
        required = list(dict.fromkeys([*merged.get("required", ()), *schema.get("required", ())]))
        kind = merged.get("type") if kind_of(schema) == "any" else schema["type"]
        merged |= schema
        merged |= {"properties": properties} if properties else {}
        merged |= {"required": required} if required else {}
        merged |= {"type": kind} if kind else {}
    return merged


def outlined(schema: Mapping[str, Any]) -> str:
    """A resolved schema in a line: `OBJECT {name: STRING, tags: ARRAY of STRING}`. For descriptions."""
    kind = kind_of(schema).upper()
    if "enum" in schema:
        kind += " " + " or ".join(json.dumps(value, ensure_ascii=False, default=str) for value in schema["enum"])
    if schema.get("properties"):
        kind += " {" + ", ".join(f"{name}: {outlined(value)}" for name, value in schema["properties"].items()) + "}"
    elif isinstance(schema.get("additionalProperties"), Mapping):
        kind += f" of {outlined(schema['additionalProperties'])}"
    if schema.get("prefixItems"):
        kind += " [" + ", ".join(outlined(value) for value in schema["prefixItems"]) + "]"
    elif schema.get("items"):
        kind += f" of {outlined(schema['items'])}"
    return kind + (" or NULL" if schema.get("nullable") else "")
