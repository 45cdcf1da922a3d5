"""JSON schemas as the model reads them: nothing that has a name or a type is lost."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from gemsmith.errors import ToolError
from tests.chat.examples import Ping, Pong, Search, Tree, declared


def from_schema(schema: dict[str, Any], **more: Any) -> str:
    """The declaration of one property `p`."""
    text = declared({"name": "f", "parameters": {"type": "object", "properties": {"p": schema}, **more}})
    return text.removeprefix("declaration:f{description:'',parameters:{properties:{p:{").removesuffix(
        "}},type:'OBJECT'}}"
    )


def leaves(schema: Any, root: Any, seen: tuple[str, ...] = ()) -> set[str]:
    """Every property name and every type in a schema, references followed."""
    if isinstance(schema, list):
        return set().union(*(leaves(item, root, seen) for item in schema))
    if not isinstance(schema, dict):
        return set()
    found: set[str] = set()
    if "$ref" in schema and schema["$ref"] not in seen:
        found |= leaves(root["$defs"][schema["$ref"].split("/")[-1]], root, (*seen, schema["$ref"]))
    for name, value in schema.get("properties", {}).items():
        found |= {name} | leaves(value, root, seen)
    for key in ("anyOf", "oneOf", "allOf", "items", "prefixItems", "additionalProperties"):
        found |= leaves(schema.get(key), root, seen)
    return found | ({schema["type"]} if isinstance(schema.get("type"), str) else set())


@pytest.mark.parametrize("model", [Search, Tree, Ping, Pong])
def test_no_name_and_no_type_of_a_pydantic_model_is_lost(model: type[BaseModel]) -> None:
    schema = model.model_json_schema()
    text = declared(model)
    assert declared({"type": "function", "function": {"name": model.__name__, "parameters": schema}}).split("{", 2)[2]
    for word in leaves(schema, schema):
        if word != "null":
            assert word in text or word.upper() in text, word
    assert "''" not in text.split("parameters", 1)[1]  # no empty type
    assert "$" not in text and "anyOf" not in text
    assert ("nullable:true" in text) == (model in (Search, Ping, Pong))


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string"}, "type:'STRING'"),
        ({"type": ["string", "null"]}, "nullable:true,type:'STRING'"),
        ({"type": ["string", "integer"]}, "type:'STRING|INTEGER'"),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "d"},
            "description:'d',nullable:true,type:'STRING'",
        ),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "type:'INTEGER|NUMBER'"),
        ({"anyOf": [{"const": "a"}, {"enum": ["b"]}]}, "enum:['a','b'],type:'STRING'"),
        ({"enum": ["a", None]}, "enum:['a'],nullable:true,type:'STRING'"),
        ({"type": "integer", "enum": [1, 2], "description": "d"}, "description:'d One of: 1 or 2.',type:'INTEGER'"),
        ({}, "type:'ANY'"),
        (True, "type:'ANY'"),  # type: ignore[list-item]
        ({"description": "d"}, "description:'d',type:'ANY'"),
        ({"type": "null"}, "type:'NULL'"),
        ({"type": "array"}, "type:'ARRAY'"),
        ({"items": {"type": "string"}}, "items:{type:'STRING'},type:'ARRAY'"),
        (
            {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
            "items:{nullable:true,type:'STRING'},type:'ARRAY'",
        ),
        (
            {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]},
            "description:'In this order: INTEGER, STRING.',type:'ARRAY'",
        ),
        ({"type": "object"}, "properties:{},type:'OBJECT'"),
        ({"type": "object", "title": "T", "additionalProperties": False}, "properties:{},type:'OBJECT'"),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}},
            "properties:{additionalProperties:{type:'INTEGER'}},type:'OBJECT'",
        ),
        (
            {"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "integer"}},
            "description:'Further keys: INTEGER.',properties:{a:{type:'ANY'}},type:'OBJECT'",
        ),
        (
            {"allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]},
                       {"properties": {"b": {"type": "integer"}}}]},
            "properties:{a:{type:'STRING'},b:{type:'INTEGER'}},required:['a'],type:'OBJECT'",
        ),
        (
            {"anyOf": [{"type": "string"}, {"properties": {"a": {"type": "integer"}}}]},
            "description:'One of: STRING; OBJECT {a: INTEGER}.',type:'STRING|OBJECT'",
        ),
        (
            {"anyOf": [{"properties": {"k": {"const": "c"}, "n": {"type": "integer"}}, "required": ["k", "n"]},
                       {"properties": {"k": {"const": "d"}}, "required": ["k"]}]},
            "description:'One of: OBJECT {k: STRING \"c\", n: INTEGER}; OBJECT {k: STRING \"d\"}.',"
            "properties:{k:{enum:['c','d'],type:'STRING'},n:{type:'INTEGER'}},required:['k'],type:'OBJECT'",
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}, {"title": "T"}]},
            "properties:{a:{type:'STRING'}},type:'OBJECT'",
        ),
    ],
)  # fmt: skip
def test_schemas(schema: dict[str, Any], text: str) -> None:
    assert from_schema(schema) == text


def test_references() -> None:
    defs = {"A/B": {"type": "string", "description": "a"}, "L": {"type": "array", "items": {"$ref": "#/$defs/L"}}}
    assert (
        from_schema({"$ref": "#/$defs/A~1B", "description": "d"}, **{"$defs": defs}) == "description:'d',type:'STRING'"
    )
    expected = "items:{description:'Another L, as above.',type:'ARRAY'},type:'ARRAY'"
    assert from_schema({"$ref": "#/$defs/L"}, **{"$defs": defs}) == expected
    text = declared({"name": "f", "parameters": {"properties": {"again": {"$ref": "#"}}}})
    assert "again:{description:" in text and "type:'OBJECT'" in text


def test_a_schema_that_explodes_is_refused() -> None:
    twice = [[{"$ref": f"#/$defs/d{level + 1}"}] * 2 for level in range(30)]
    defs: dict[str, Any] = {f"d{level}": {"prefixItems": refs} for level, refs in enumerate(twice)}
    defs["d30"] = {"type": "string"}
    with pytest.raises(ToolError, match="more than 4096 parts"):
        from_schema({"$ref": "#/$defs/d0"}, **{"$defs": defs})
