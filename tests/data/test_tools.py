"""Tool use: calls fit their declarations and say what was asked; answers name what the result holds."""

import random

import pytest

from gemsmith.chat.values import ToolCall
from gemsmith.data.catalogue import TOOLS
from gemsmith.data.tools import answer, declaration, fields, make_request, spell, tool_answer, tool_call, words

SEEDS = range(300)
PYTHON_TYPES = {"string": (str,), "boolean": (bool,), "integer": (int,), "number": (int, float)}


def check_call(call: ToolCall, tools: tuple[dict, ...]) -> None:
    [function] = [tool["function"] for tool in tools if tool["function"]["name"] == call.name]
    properties = function["parameters"]["properties"]
    assert set(function["parameters"]["required"]) <= set(call.arguments) <= set(properties)
    for name, value in call.arguments.items():
        assert type(value) in PYTHON_TYPES[properties[name]["type"]]
        assert value in properties[name].get("enum", [value])


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_a_call_fits_its_declaration_and_its_arguments_stand_in_the_request(split) -> None:
    for seed in SEEDS:
        example = tool_call(random.Random(seed), split, 1.0)
        [call] = example.messages[-1].tool_calls
        assert 1 <= len(example.tools) <= 3
        check_call(call, example.tools)
        for value in call.arguments.values():
            assert isinstance(value, bool) or str(value) in example.messages[0].text


def test_an_answer_follows_its_call_and_result() -> None:
    for seed in SEEDS:
        request, call, result, reply = tool_answer(random.Random(seed), "train", 1.0).messages
        assert (request.role, call.role, result.role, reply.role) == ("user", "assistant", "tool", "assistant")
        assert result.parts[0].name == call.tool_calls[0].name
        values = result.parts[0].content.values()
        assert all(isinstance(value, bool) or str(value) in reply.text for value in values)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.names[0])
def test_every_tool_is_consistent(tool) -> None:
    assert set(tool.required) <= set(tool.slots)
    for form in tool.requests:
        assert set(tool.required) <= set(fields(form)) <= set(tool.slots), form
    for flag, form in tool.answers.items():
        assert set(fields(form)) <= {*tool.slots, *tool.result}
        optional = set(tool.slots) - set(tool.required)
        assert not optional & set(fields(form)), "an answer may only name what every request gives"
        assert flag is None or set(tool.answers) == {True, False}


def test_no_two_tools_share_a_name() -> None:
    names = [name for tool in TOOLS for name in tool.names]
    assert len(names) == len(set(names))


def test_yes_and_no_are_told_by_words() -> None:
    rng = random.Random(0)
    requests = [r for r in (make_request(rng) for _ in range(3000)) if any(v is False for v in r.values.values())]
    assert requests
    for request in requests:
        opposite = request._replace(values={k: not v if v is False else v for k, v in request.values.items()})
        assert words(request) != words(opposite)


def test_declarations_name_every_parameter_once() -> None:
    rng = random.Random(0)
    for tool in TOOLS * 20:
        name, parameters = spell(rng, tool)
        assert len(set(parameters)) == len(tool.slots)
        function = declaration(tool, (name, parameters), True)["function"]
        assert tuple(function["parameters"]["properties"]) == parameters
        assert all("description" in schema for schema in function["parameters"]["properties"].values())


def test_answers_begin_with_a_capital() -> None:
    rng = random.Random(0)
    for _ in range(500):
        request = make_request(rng)
        result = {name: value(rng) for name, value in request.tool.result.items()}
        assert not answer(request, result)[0].islower()
