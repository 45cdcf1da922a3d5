"""What callers give as a tool, read into one value: a dictionary, a Pydantic model or a Python function.

Dictionaries are OpenAI's (`{"type": "function", "function": {…}}`), the function's part alone (as in OpenAI's
Responses), Anthropic's (`input_schema`) and MCP's (`inputSchema`), or a JSON schema with a title. A tool is declared
and called, never executed, here; `function` is kept for whoever runs it. Signatures are read by `functions.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gemsmith.chat.syntax import is_name
from gemsmith.errors import ToolError

SCHEMA_KEYS = ("parameters", "input_schema", "inputSchema")


@dataclass(frozen=True)
class Tool:
    """A function the model may call. `parameters` is a JSON schema as given, `response` one of the result."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    response: Mapping[str, Any] | None = None
    function: Callable[..., Any] | None = field(default=None, compare=False)


def read_tools(tools: Iterable[Any]) -> list[Tool]:
    """Every tool, checked; a name may be used once."""
    if isinstance(tools, (Mapping, Tool)) or callable(tools):
        tools = (tools,)
    read = [read_tool(tool) for tool in tools or ()]
    names = [tool.name for tool in read]
    for name in names:
        if names.count(name) > 1:
            raise ToolError(f"two tools are called {name!r}; the model could not tell them apart, rename one")
    return read


def read_tool(tool: Any) -> Tool:
    """One tool from any of the forms above."""
    if isinstance(tool, Tool):
        read = tool
    elif isinstance(tool, Mapping):
        read = _from_mapping(tool)
    elif hasattr(tool, "model_json_schema"):
        read = _from_model(tool)
    elif callable(tool):
        from gemsmith.chat.functions import read_function

        read = read_function(tool)
    else:
        raise ToolError(f"a tool is a dictionary, a Pydantic model or a function, not {type(tool).__name__}")
    return _checked(read)


def _from_mapping(tool: Mapping[str, Any]) -> Tool:
    function = tool.get("function", tool)
    if callable(function):
        return read_tool(function)
    if not isinstance(function, Mapping):
        raise ToolError(f"a tool's function is a dictionary, not {type(function).__name__}")
    if "name" not in function and isinstance(function.get("title"), str) and "properties" in function:
        schema = {key: value for key, value in function.items() if key not in ("title", "description")}
        return Tool(function["title"], function.get("description") or "", schema)
    parameters: Mapping[str, Any] = next((function[key] for key in SCHEMA_KEYS if function.get(key) is not None), {})
    return Tool(function.get("name"), function.get("description") or "", parameters, function.get("response"))  # type: ignore[arg-type]


def _from_model(model: Any) -> Tool:
    """A Pydantic model (anything with `model_json_schema`): its name, its docstring, its fields."""
    schema = without_titles(model.model_json_schema())
    description = schema.pop("description", "")
    return Tool(model.__name__, inspect.cleandoc(description), schema, function=model)


def without_titles(schema: Any) -> Any:
    """The schema without the titles that Pydantic makes from names; properties called `title` stay."""
    if isinstance(schema, list):
        return [without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    named = ("properties", "$defs", "patternProperties")
    return {
        key: {name: without_titles(item) for name, item in value.items()} if key in named else without_titles(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
    }


def _checked(tool: Tool) -> Tool:
    if not isinstance(tool.name, str) or not is_name(tool.name):
        raise ToolError(f"a tool's name is made of letters, digits and _ - . : /; got {tool.name!r}")
    if not isinstance(tool.description, str):
        raise ToolError(f"{tool.name}: the description must be a string, not {type(tool.description).__name__}")
    for schema in (tool.parameters, tool.response):
        if schema is not None and not isinstance(schema, Mapping):
            raise ToolError(f"{tool.name}: parameters and response are JSON schemas, not {type(schema).__name__}")
    return tool
