"""Tool use: one call filled from a request, and an answer in words from a call's result."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import lru_cache
from string import Formatter
from typing import Any, NamedTuple

from gemsmith.chat.values import Message, ToolCall, ToolResult
from gemsmith.data.catalogue import TOOLS
from gemsmith.data.example import Example, reply, user
from gemsmith.data.slots import Tool
from gemsmith.data.split import Split, draw


class Request(NamedTuple):
    """A request for one tool: the words, and the values of its slots."""

    tool: Tool
    form: str
    values: dict[str, Any]


Spelling = tuple[str, tuple[str, ...]]  # the tool's name, and its parameters' names in the order of its slots


def tool_call(rng: random.Random, split: Split, difficulty: float) -> Example:
    """A request among 1-3 declared tools, and the call; `difficulty` raises the number of tools."""
    request = draw(make_request, _key, rng, split)
    spelling = spell(rng, request.tool)
    tools = _declared(rng, request.tool, spelling, 1 + round(2 * difficulty))
    return Example("tool_call", (user(words(request)), reply(_call(request, spelling))), tools)


def tool_answer(rng: random.Random, split: Split, difficulty: float) -> Example:
    """A request, its call, the tool's result, and the answer in words."""

    def make(r: random.Random) -> tuple[Request, dict[str, Any]]:
        request = make_request(r)
        return request, {name: value(r) for name, value in request.tool.result.items()}

    request, result = draw(make, lambda content: f"{_key(content[0])} {content[1]}", rng, split)
    spelling = spell(rng, request.tool)
    tools = _declared(rng, request.tool, spelling, 1 + round(difficulty))
    messages = (
        user(words(request)),
        reply(_call(request, spelling)),
        Message("tool", (ToolResult(result, name=spelling[0]),)),
        reply(answer(request, result)),
    )
    return Example("tool_answer", messages, tools)


def make_request(rng: random.Random) -> Request:
    """A random request for a random tool, with a value for every slot that its words name."""
    tool = rng.choice(TOOLS)
    form = rng.choice(tool.requests)
    values = {name: tool.slots[name].make(rng) for name in fields(form)}
    if "start" in values and values["start"] == values.get("goal"):
        return make_request(rng)
    return Request(tool, form, values)


def words(request: Request) -> str:
    """The request as a user says it."""
    return request.form.format(**_said(request))


def answer(request: Request, result: Mapping[str, Any]) -> str:
    """The result as words, naming what was asked for."""
    flag = next((value for value in result.values() if isinstance(value, bool)), None)
    form = request.tool.answers[flag]
    missing = {name: "" for name in request.tool.slots if name not in request.values}
    text = form.format(**_said(request), **missing, **result)
    return text[0].upper() + text[1:]


def spell(rng: random.Random, tool: Tool) -> Spelling:
    """Names for a tool and its parameters, the first of each most often; no parameter name twice."""
    name = tool.names[0] if rng.random() < 0.4 else rng.choice(tool.names)
    parameters: list[str] = []
    for slot in tool.slots.values():
        free = [spelling for spelling in slot.names if spelling not in parameters]
        parameters.append(free[0] if rng.random() < 0.4 else rng.choice(free))
    return name, tuple(parameters)


@lru_cache(maxsize=4096)
def declaration(tool: Tool, spelling: Spelling, described: bool) -> dict[str, Any]:
    """The tool as an OpenAI-style declaration. Cached: do not change what it returns."""
    name, parameters = spelling
    properties = {}
    for parameter, slot in zip(parameters, tool.slots.values(), strict=True):
        schema: dict[str, Any] = {"type": slot.type}
        if described:
            schema["description"] = slot.about
        if slot.enum:
            schema["enum"] = list(slot.enum)
        properties[parameter] = schema
    required = [p for p, slot in zip(parameters, tool.slots, strict=True) if slot in tool.required]
    schema = {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "function": {"name": name, "description": tool.about, "parameters": schema}}


@lru_cache
def fields(form: str) -> tuple[str, ...]:
    """The names in braces."""
    return tuple(name for _, name, _, _ in Formatter().parse(form) if name)


def _said(request: Request) -> dict[str, Any]:
    slots = request.tool.slots
    return {name: slots[name].said.get(value, value) if slots[name].said else value
            for name, value in request.values.items()}  # fmt: skip


def _call(request: Request, spelling: Spelling) -> ToolCall:
    names = dict(zip(request.tool.slots, spelling[1], strict=True))
    return ToolCall(spelling[0], {names[slot]: value for slot, value in request.values.items()})


def _declared(rng: random.Random, tool: Tool, spelling: Spelling, most: int) -> tuple[dict[str, Any], ...]:
    """The tool among others, none of which has its name, in random order."""
    others = rng.sample([other for other in TOOLS if other is not tool], rng.randint(1, most) - 1)
    described = len(others) < 2 and rng.random() < 0.4  # three with descriptions would outgrow a training row
    tools = [declaration(tool, spelling, described)]
    tools += [declaration(other, spell(rng, other), described) for other in others]
    rng.shuffle(tools)
    return tuple(tools)


def _key(request: Request) -> str:
    return f"{request.tool.names[0]} {sorted(request.values.items())}"
