"""The declaration of a tool, as `format_function_declaration` of Google's canonical Gemma 4 template writes it.

The schema is resolved first (`schema.py`). Then `fitted` puts into words what the template would drop at a property's
place, where a name or a type would be lost with it: enums of numbers, the items of tuples, further keys beside named
ones; and it removes keywords that the template would take for properties of an object without any. A result that is no
object is declared as an object whose description names its type, for the template leaves the brace open otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gemsmith.chat.pieces import Pieces
from gemsmith.chat.schema import Schema, described, kind_of, outlined, resolve
from gemsmith.chat.syntax import sorted_items, write_value
from gemsmith.chat.tools import Tool
from gemsmith.errors import ToolError

STANDARD_KEYS = ("description", "type", "properties", "required", "nullable")
KEYWORDS = (
    *("default", "patternProperties", "not", "if", "then", "else", "propertyNames", "dependentSchemas", "contains"),
    *("unevaluatedProperties", "dependentRequired", "xml", "externalDocs", "discriminator"),
)


def write_declaration(pieces: Pieces, tool: Tool) -> None:
    """`declaration:NAME{description:…,parameters:{…},response:{…}}`"""
    parameters = fitted_parameters(tool)
    pieces.text(f"declaration:{tool.name}{{description:")
    pieces.quoted(tool.description)
    if parameters:
        pieces.text(",parameters:{")
        if parameters.get("properties"):
            pieces.text("properties:{")
            _write_properties(pieces, parameters["properties"])
            pieces.text("},")
        if parameters.get("required"):
            _write_required(pieces, parameters["required"])
            pieces.text(",")
        _write_type(pieces, "object")
    if tool.response is not None:
        _write_response(pieces, tool)
    pieces.text("}")


def fitted_parameters(tool: Tool) -> Schema:
    """The parameters as the model will read them."""
    if not tool.parameters:
        return {}
    parameters = resolve({"type": "object", **tool.parameters}, name=tool.name)
    if kind_of(parameters) != "object":
        raise ToolError(f"{tool.name}: parameters must be an object schema, not {outlined(parameters)}")
    return {**parameters, "properties": _fitted_all(parameters.get("properties", {}))}


def _fitted_all(properties: Mapping[str, Any]) -> Schema:
    return {name: fitted(schema) for name, schema in properties.items()}


def fitted(schema: Schema) -> Schema:
    """A resolved schema at a property's place, with nothing in it that the template would drop unsaid."""
    kind = kind_of(schema)
    schema = {"type": kind, **schema}
    if kind == "array":
        return _fitted_array(schema)
    if kind == "object":
        return _fitted_object(schema)
    if schema.get("enum") and kind != "string":
        return described(schema, f"One of: {outlined({'enum': schema['enum']}).removeprefix('ANY ')}.")
    return schema


def _fitted_array(schema: Schema) -> Schema:
    if schema.get("prefixItems"):
        order = ", ".join(outlined(item) for item in schema["prefixItems"])
        return described(schema, f"In this order: {order}.")
    items = schema.get("items")
    if isinstance(items, Mapping) and isinstance(items.get("properties"), Mapping):
        return {**schema, "items": {**items, "properties": _fitted_all(items["properties"])}}
    return schema


def _fitted_object(schema: Schema) -> Schema:
    """Named properties, or else what the template takes for properties: every key that is a schema."""
    further = schema.get("additionalProperties")
    if isinstance(schema.get("properties"), Mapping):
        schema = {**schema, "properties": _fitted_all(schema["properties"])}
        if isinstance(further, Mapping) and further:
            schema = described(schema, f"Further keys: {outlined(further)}.")
        return schema
    inline = {key: value for key, value in schema.items() if isinstance(value, Mapping) and key not in KEYWORDS}
    if not inline.get("additionalProperties", True):  # {} allows anything, and says nothing
        del inline["additionalProperties"]
    kept = {key: value for key, value in schema.items() if key in STANDARD_KEYS} | _fitted_all(inline)
    for pattern, value in schema.get("patternProperties", {}).items():
        kept = described(kept, f"Keys like {pattern}: {outlined(value)}.")
    return kept


def _write_properties(pieces: Pieces, properties: Mapping[str, Any], *, skip: Sequence[str] = ()) -> None:
    chosen = [(key, value) for key, value in sorted_items(properties) if key not in skip]
    for number, (key, schema) in enumerate(chosen):
        pieces.text(("," if number else "") + key + ":{")
        _write_property(pieces, schema)
        pieces.text("}")


def _write_property(pieces: Pieces, schema: Schema) -> None:
    """description, enum or items, nullable, properties and required, type: in this order, each if it says something."""
    kind = kind_of(schema).upper()
    if schema.get("description"):
        pieces.text("description:")
        pieces.quoted(schema["description"])
        pieces.text(",")
    if kind == "STRING" and schema.get("enum"):
        pieces.text("enum:")
        write_value(pieces, schema["enum"])
        pieces.text(",")
    if kind == "ARRAY" and isinstance(schema.get("items"), Mapping) and schema["items"]:
        _write_items(pieces, schema["items"])
        pieces.text(",")
    if schema.get("nullable"):
        pieces.text("nullable:true,")
    if kind == "OBJECT":
        _write_object(pieces, schema)
    _write_type(pieces, kind, closing="")


def _write_object(pieces: Pieces, schema: Schema) -> None:
    pieces.text("properties:{")
    if isinstance(schema.get("properties"), Mapping):
        _write_properties(pieces, schema["properties"])
    else:
        _write_properties(pieces, schema, skip=STANDARD_KEYS)
    pieces.text("},")
    if schema.get("required"):
        _write_required(pieces, schema["required"])
        pieces.text(",")


def _write_items(pieces: Pieces, items: Schema) -> None:
    """Every key of an item's schema, in order; below `properties` it goes on as above, elsewhere as plain values."""
    pieces.text("items:{")
    said = [(key, value) for key, value in sorted_items(items) if value is not None]
    for number, (key, value) in enumerate(said):
        pieces.text("," if number else "")
        if key == "properties":
            pieces.text("properties:{")
            _write_properties(pieces, value)
            pieces.text("}")
        elif key == "required":
            _write_required(pieces, value)
        else:
            pieces.text(key + ":")
            write_value(pieces, value.upper() if key == "type" else value, quote_keys=True)
    pieces.text("}")


def _write_required(pieces: Pieces, names: Sequence[str]) -> None:
    pieces.text("required:")
    write_value(pieces, list(names))


def _write_type(pieces: Pieces, kind: str, closing: str = "}") -> None:
    pieces.text("type:")
    pieces.quoted(kind.upper())
    pieces.text(closing)


def _write_response(pieces: Pieces, tool: Tool) -> None:
    assert tool.response is not None
    response = resolve(tool.response, name=tool.name)
    has_more = kind_of(response) != "object" or bool(response.get("properties"))
    if has_more:
        response = described(response, f"Returns {outlined(response)}.")
    pieces.text(",response:{")
    if response.get("description"):
        pieces.text("description:")
        pieces.quoted(response["description"])
        pieces.text(",")
    _write_type(pieces, "object")
