"""A tool out of a Python function: the signature gives names, types and defaults, the docstring the descriptions.

Types become JSON schema as Pydantic would write it: `Literal`, `Optional`, unions, collections, `Enum`, `Annotated` (a
string is a description), and dataclasses, TypedDicts, NamedTuples and Pydantic models as `$defs`, so that one that
contains itself ends. An annotation that says nothing we can declare is an error that names the parameter.
"""

from __future__ import annotations

import collections
import collections.abc as abc
import dataclasses
import datetime
import decimal
import enum
import functools
import inspect
import pathlib
import types
import typing
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from gemsmith.chat.docstrings import read_docstring
from gemsmith.chat.schema import Schema
from gemsmith.chat.tools import Tool, without_titles
from gemsmith.errors import ToolError

PLAIN: dict[Any, Schema] = {
    Any: {},
    object: {},
    inspect.Parameter.empty: {},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    complex: {"type": "string"},
    decimal.Decimal: {"type": "number"},
    bytes: {"type": "string", "format": "binary"},
    type(None): {"type": "null"},
    None: {"type": "null"},
    datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.date: {"type": "string", "format": "date"},
    datetime.time: {"type": "string", "format": "time"},
    datetime.timedelta: {"type": "string", "format": "duration"},
    uuid.UUID: {"type": "string", "format": "uuid"},
    pathlib.Path: {"type": "string", "format": "path"},
    list: {"type": "array"},
    tuple: {"type": "array"},
    set: {"type": "array", "uniqueItems": True},
    frozenset: {"type": "array", "uniqueItems": True},
    dict: {"type": "object"},
}
QUALIFIERS = (typing.Required, typing.NotRequired, typing.Final)
LISTS = (list, collections.deque, abc.Sequence, abc.MutableSequence, abc.Iterable, abc.Collection)
SETS = (set, frozenset, abc.Set, abc.MutableSet)
MAPPINGS = (dict, abc.Mapping, abc.MutableMapping)


def read_function(function: Callable[..., Any]) -> Tool:
    """The tool that a function, a bound method, a partial, a callable object or a dataclass is."""
    named = function.func if isinstance(function, functools.partial) else function
    name = getattr(named, "__name__", type(named).__name__)
    doc = read_docstring(_docstring(named))
    read, hints = _Types(name), _hints(function, name)
    properties: Schema = {}
    required = []
    for parameter in _parameters(function, name):
        hint = hints.get(parameter.name, parameter.annotation)
        properties[parameter.name] = read.parameter(parameter, hint, doc.parameters.get(parameter.name))
        if parameter.default is inspect.Parameter.empty:
            required.append(parameter.name)
    schema: Schema = {"type": "object", "properties": properties}
    schema |= {"required": required} if required else {}
    schema |= {"$defs": read.defs} if read.defs else {}
    return Tool(name, doc.description, schema, function=function)


def _docstring(function: Any) -> str | None:
    """A callable object without a docstring of its own class has that of what is called."""
    if inspect.isroutine(function) or inspect.isclass(function):
        return inspect.getdoc(function)
    return inspect.getdoc(function) or inspect.getdoc(function.__call__)


def _parameters(function: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError) as error:
        raise ToolError(f"{name}: its signature cannot be read ({error}); wrap it in a function") from None
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ToolError(f"{name}: {parameter} cannot be declared; name each parameter")
    return parameters


def _hints(function: Any, name: str) -> dict[str, Any]:
    """Annotations with strings evaluated, from where a callable keeps them."""
    if inspect.isclass(function):
        source = function if _has_fields(function) else function.__init__
    elif isinstance(function, functools.partial):
        source = function.func
    else:
        source = inspect.unwrap(function) if inspect.isroutine(function) else type(function).__call__
    try:
        return typing.get_type_hints(source, include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        raise ToolError(f"{name}: an annotation cannot be evaluated ({error}); use names that its module has") from None


def _has_fields(cls: Any) -> bool:
    return dataclasses.is_dataclass(cls) or typing.is_typeddict(cls) or hasattr(cls, "_field_defaults")


class _Types:
    """Annotations to schemas, for one tool; classes with fields are collected in `defs`."""

    def __init__(self, name: str):
        self.name = name
        self.defs: Schema = {}
        self.classes: dict[str, Any] = {}

    def parameter(self, parameter: inspect.Parameter, hint: Any, description: str | None) -> Schema:
        """One parameter. Without an annotation, its default says the type."""
        default = parameter.default
        if hint is parameter.empty and default is not parameter.empty and default is not None:
            hint = type(default)
        schema = dict(self.schema(hint, parameter.name))
        if description:
            schema["description"] = description
        if default is not parameter.empty:
            default = default.value if isinstance(default, enum.Enum) else default
            schema |= {"default": default} if isinstance(default, (str, int, float, bool, type(None))) else {}
        return schema

    def schema(self, hint: Any, where: str) -> Schema:
        """The schema of one annotation; `where` is for errors."""
        if isinstance(hint, typing.TypeVar):
            hint = hint.__bound__ or Any
        while hasattr(hint, "__supertype__") or type(hint).__name__ == "TypeAliasType":
            hint = hint.__supertype__ if hasattr(hint, "__supertype__") else hint.__value__
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is typing.Annotated:
            return self._annotated(arguments, where)
        if origin in QUALIFIERS:
            return self.schema(arguments[0], where)
        if origin is typing.Literal:
            return _values(arguments)
        if origin in (typing.Union, types.UnionType):
            return {"anyOf": [self.schema(argument, where) for argument in arguments]}
        if origin is not None or hint in (*LISTS, *SETS, *MAPPINGS, tuple):
            return self._collection(origin or hint, arguments, where)
        return self._class(hint, where)

    def _annotated(self, arguments: tuple[Any, ...], where: str) -> Schema:
        """Words beside a type describe it: a string, or anything with a `description`, as Pydantic's Field."""
        schema = dict(self.schema(arguments[0], where))
        for extra in arguments[1:]:
            words = extra if isinstance(extra, str) else getattr(extra, "description", None)
            schema |= {"description": words} if isinstance(words, str) else {}
        return schema

    def _collection(self, origin: Any, arguments: tuple[Any, ...], where: str) -> Schema:
        if origin is tuple and arguments and arguments[-1] is not Ellipsis:
            items = [self.schema(argument, where) for argument in arguments]
            return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
        if origin in (*LISTS, *SETS, tuple):
            unique = {"uniqueItems": True} if origin in SETS else {}
            return {"type": "array", **({"items": self.schema(arguments[0], where)} if arguments else {}), **unique}
        if origin in MAPPINGS:
            values = self.schema(arguments[1], where) if len(arguments) == 2 else {}
            return {"type": "object", **({"additionalProperties": values} if values else {})}
        return self._class(origin, where)

    def _class(self, hint: Any, where: str) -> Schema:
        if not isinstance(hint, abc.Hashable) or hint in PLAIN:
            return PLAIN.get(hint, {})
        if hasattr(hint, "model_json_schema"):
            return self._pydantic(hint)
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return _values([member.value for member in hint])
        if _has_fields(hint):
            return self._fields(hint, where)
        for base, schema in PLAIN.items():
            if isinstance(base, type) and base is not object and isinstance(hint, type) and issubclass(hint, base):
                return schema
        raise ToolError(
            f"{self.name}: parameter {where} is annotated {hint!r}, which has no JSON schema; use JSON's types,"
            " Literal, Enum, a dataclass, a TypedDict or a Pydantic model"
        )

    def _pydantic(self, model: Any) -> Schema:
        schema = without_titles(model.model_json_schema())
        for name, definition in schema.pop("$defs", {}).items():
            self._define(name, definition)
        if "$ref" not in schema:  # a model that contains itself refers to its own definition
            self._define(model.__name__, schema)
        return {"$ref": schema.get("$ref", f"#/$defs/{model.__name__}")}

    def _define(self, name: str, schema: Schema) -> None:
        if self.defs.get(name, schema) != schema:
            raise ToolError(f"{self.name}: two types are called {name}; rename one")
        self.defs[name] = schema

    def _fields(self, cls: Any, where: str) -> Schema:
        """A class with fields, defined once; its docstring describes its fields."""
        name = cls.__name__
        if self.classes.setdefault(name, cls) is not cls:
            raise ToolError(f"{self.name}: two types are called {name}; rename one")
        if name not in self.defs:
            self.defs[name] = {}
            is_generated = (cls.__doc__ or "").startswith(f"{name}(")  # what dataclasses and NamedTuples get
            doc = read_docstring(None if is_generated else cls.__doc__)
            hints = _hints(cls, self.name)
            schema: Schema = {"type": "object"} | ({"description": doc.description} if doc.description else {})
            schema["properties"] = {
                field: self.schema(hint, f"{where}.{field}") | _description(doc.parameters.get(field))
                for field, hint in hints.items()
            }
            required = [field for field, hint in hints.items() if _is_required(cls, field, hint)]
            self.defs[name] = schema | ({"required": required} if required else {})
        return {"$ref": f"#/$defs/{name}"}


def _description(words: str | None) -> Schema:
    return {"description": words} if words else {}


def _is_required(cls: Any, field: str, hint: Any) -> bool:
    if typing.is_typeddict(cls):  # under postponed annotations the class itself does not know of NotRequired
        return field in cls.__required_keys__ and typing.get_origin(hint) is not typing.NotRequired
    if hasattr(cls, "_field_defaults"):
        return field not in cls._field_defaults
    described = {f.name: f for f in dataclasses.fields(cls)}[field]
    return described.default is dataclasses.MISSING and described.default_factory is dataclasses.MISSING


def _values(values: Iterable[Any]) -> Schema:
    """An enum; members of enums stand for their values."""
    plain = [value.value if isinstance(value, enum.Enum) else value for value in values]
    names = {str: "string", bool: "boolean", int: "integer", float: "number"}
    kinds = {names.get(type(value)) for value in plain if value is not None}
    kind = kinds.pop() if len(kinds) == 1 else None
    return {"enum": plain} | ({"type": [kind, "null"] if None in plain else kind} if kind else {})
