"""Tools from every form, declared as the canonical template would."""

from __future__ import annotations

import typing
from typing import Any

import pytest

from gemsmith.chat import Tool, read_tool, read_tools, render
from gemsmith.chat.declare import fitted_parameters
from gemsmith.errors import ToolError
from tests.chat.examples import Ping, Pong, Search, Tree, declared, weather
from tests.chat.oracle import expected_text
from tests.chat.schemas import parameters
from tests.chat.small import small_tokenizer

EXAMPLES = [Search, Tree, Ping, Pong, weather]
RANDOM = [{"name": "f", "description": "d", "parameters": parameters(seed)} for seed in range(300)]


@pytest.mark.parametrize("tools", [EXAMPLES, RANDOM], ids=["examples", "random"])
def test_declarations_are_the_templates_own_on_the_resolved_schema(template: None, tools: list[Any]) -> None:
    for tool in tools:
        read = read_tool(tool)
        function = {"name": read.name, "description": read.description, "parameters": fitted_parameters(read)}
        case = {"messages": [{"role": "user", "content": "Hi"}], "tools": [{"function": function}], "think": False}
        expected = expected_text(case | {"preserve_thinking": False, "add_generation_prompt": True})
        text = render("Hi", tools=[tool], tokenizer=small_tokenizer()).text
        assert text == expected
        assert "$ref" not in text and "Of:[" not in text and 'type:<|"|><|"|>' not in text


def test_every_dictionary_form_is_one_tool() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    forms: list[Any] = [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema}},
        {"type": "function", "name": "f", "description": "d", "parameters": schema},
        {"name": "f", "description": "d", "input_schema": schema},
        {"name": "f", "description": "d", "inputSchema": schema},
        {"title": "f", "description": "d", **schema},
        Tool("f", "d", schema),
    ]
    assert {declared(form) for form in forms} == {declared(forms[0])}


def test_what_a_tool_answers_can_be_declared() -> None:
    def responds(response: dict[str, Any]) -> str:
        return declared({"name": "f", "response": response}).removeprefix("declaration:f{description:'',")

    assert responds({"type": "object", "description": "d"}) == "response:{description:'d',type:'OBJECT'}}"
    assert responds({"type": "string"}) == "response:{description:'Returns STRING.',type:'OBJECT'}}"
    assert "OBJECT {a: INTEGER}" in responds({"properties": {"a": {"type": "integer"}}})


def starred(*args: int) -> None: ...
def unknown(a: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def opaque(a: typing.Callable[[], None]) -> None: ...


@pytest.mark.parametrize(
    ("tools", "reason"),
    [
        ([3], "not int"),
        ([{"name": "f"}, {"name": "f"}], "two tools are called 'f'"),
        ([{"name": "get weather"}], "letters, digits"),
        ([{"description": "x"}], "letters, digits"),
        ([{"name": "f", "description": 3}], "description must be a string"),
        ([{"name": "f", "parameters": [1]}], "JSON schemas, not list"),
        ([{"name": "f", "parameters": {"type": "string"}}], "must be an object schema"),
        ([{"name": "f", "parameters": {"properties": {"a": 3}}}], "a schema is a mapping"),
        ([{"name": "f", "parameters": {"properties": [1]}}], "properties cannot be"),
        ([{"name": "f", "parameters": {"properties": {"a": {"anyOf": None}}}}], "f: anyOf cannot be None"),
        ([{"name": "f", "parameters": {"properties": {"a": {"allOf": 3}}}}], "f: allOf cannot be 3"),
        ([{"name": "f", "parameters": {"properties": {"a": {"type": [3]}}}}], r"f: type cannot be \[3\]"),
        ([{"name": "f", "parameters": {"properties": {"a": {"prefixItems": 3}}}}], "f: prefixItems cannot be 3"),
        (
            [{"name": "f", "parameters": {"properties": {"a": {"patternProperties": [1]}}}}],
            "f: patternProperties cannot",
        ),
        ([{"name": "f", "parameters": {"properties": {"a": {}}, "required": [[1]]}}], "f: required cannot be"),
        ([{"name": "f", "parameters": {"properties": {"a": {"$ref": "#foo"}}}}], "'#foo' is an anchor"),
        ([{"name": "f", "parameters": {"properties": {"a": {"$ref": "http://x"}}}}], "leads out of its schema"),
        ([{"name": "f", "parameters": {"properties": {"a": {"$ref": "#/$defs/A"}}}}], "refers to nothing"),
        ([starred], "cannot be declared; name each"),
        ([unknown], "cannot be evaluated"),
        ([opaque], "which has no JSON schema"),
    ],
)
def test_what_cannot_be_declared_is_an_error(tools: list[Any], reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        render("Hi", tools=tools, tokenizer=small_tokenizer())


def test_no_tools_are_no_tools() -> None:
    assert read_tools(()) == [] and read_tools(None) == []  # type: ignore[arg-type]
