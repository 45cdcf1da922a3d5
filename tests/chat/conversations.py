"""Random conversations in OpenAI's shape, for the canonical template and for us. All from a seed.

No content spells a control token, for the template cannot tell it from its own; except thoughts spelled out in
assistant content, which the template removes.
"""

from __future__ import annotations

import random
from typing import Any

# fmt: off
WORDS = (
    "Hello", "the weather", "in Paris", "ü", "naïve café", "東京", "🙂👍🏽", "x = {a: 1}", "call:f{}",
    "5 < 7 > 3", "''", '"', "two\nlines", "\n\n", "\t", "  spaced  ", "<b>", "| pipe |", "<turn>",
    "thought\n", "<unused>", "%s", "\\n", "\u00a0",
)
KEYS = (
    "city", "days", "Zeta", "alpha", "items", "type", "description", "properties", "required", "A_b", "ä", "nullable",
)
# fmt: on
NAMES = ("get_weather", "search", "mcp.read-file", "f")


def conversation(seed: int) -> dict[str, Any]:
    """`messages`, `tools` and settings of one case."""
    rng = random.Random(seed)
    messages: list[dict[str, Any]] = []
    if rng.random() < 0.4:
        messages.append({"role": rng.choice(("system", "developer")), "content": _system(rng)})
    for _ in range(rng.randint(1, 4)):
        messages.append({"role": "user", "content": _user(rng)})
        messages += _assistants(rng)
        if rng.random() < 0.05:
            messages.append({"role": "system", "content": text(rng)})
    if rng.random() < 0.5:
        messages.append({"role": "user", "content": _user(rng)})
    return {
        "messages": messages,
        "tools": [_tool(rng, name) for name in rng.sample(NAMES, rng.choice((0, 0, 1, 2)))],
        "think": rng.random() < 0.5,
        "preserve_thinking": rng.random() < 0.3,
        "add_generation_prompt": rng.random() < 0.8,
    }


def text(rng: random.Random) -> str:
    words = (rng.choice(WORDS) for _ in range(rng.choice((0, 1, 1, 2, 3, 6))))
    return rng.choice(("", "", "\n", "  ")) + rng.choice(("", " ", "\n")).join(words) + rng.choice(("", "", "\n", " "))


def _system(rng: random.Random) -> Any:
    parts = [{"type": "text", "text": text(rng)} for _ in range(rng.randint(1, 3))]
    return rng.choice((text(rng), text(rng), parts, None))


def _user(rng: random.Random) -> Any:
    if rng.random() < 0.6:
        return rng.choice((text(rng), text(rng), text(rng), "", None))
    return [_part(rng) for _ in range(rng.randint(0, 4))]


def _part(rng: random.Random) -> dict[str, Any]:
    return rng.choice(
        (
            {"type": "text", "text": text(rng)},
            {"type": "text", "text": text(rng)},
            {"type": "image"},
            {"type": "image_url", "image_url": {"url": "file:a.png"}},
            {"type": "audio", "audio": "a.wav"},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"type": "video", "video": "a.mp4"},
        )
    )


def _assistants(rng: random.Random) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        message: dict[str, Any] = {"role": "assistant", "content": _answer(rng)}
        if rng.random() < 0.4:
            message[rng.choice(("reasoning", "reasoning_content"))] = rng.choice((text(rng), "", None))
        messages.append(message)
        if rng.random() < 0.4:
            messages += _add_calls(rng, message)
    return messages


def _answer(rng: random.Random) -> Any:
    words = text(rng)
    spelled = f"{text(rng)}<|channel>thought\n{text(rng)}<channel|>{text(rng)}"
    parts = [{"type": "text", "text": text(rng)} for _ in range(rng.randint(0, 3))]
    return rng.choice((words, words, words, "", None, spelled, f"{words}<channel|>", f"<|channel>{words}", parts))


def _add_calls(rng: random.Random, message: dict[str, Any]) -> list[dict[str, Any]]:
    """Gives a message calls; returns the results that follow it, if any."""
    calls = [
        {"id": f"c{number}", "type": "function", "function": {"name": rng.choice(NAMES), "arguments": value(rng, 0)}}
        for number in range(rng.choice((1, 1, 2, 3)))
    ]
    message["tool_calls"] = calls
    kind = rng.random()
    if kind < 0.2:
        return []
    if kind < 0.3:
        responses = [{"name": call["function"]["name"], "response": _response(rng)} for call in calls]
        message["tool_responses"] = responses
        return []
    if rng.random() < 0.7:
        message["content"] = rng.choice((None, "", "\n"))
    return [{"role": "tool", "tool_call_id": call["id"], "content": _result(rng)} for call in calls]


def _response(rng: random.Random) -> Any:
    return rng.choice((value(rng, 0), text(rng), 3, 1.5, None, True, [1, "a"]))


def _result(rng: random.Random) -> Any:
    parts = [_part(rng) for _ in range(rng.randint(1, 3))]
    return rng.choice((text(rng), text(rng), '{"a": 1}', parts, None, 7, False))


def value(rng: random.Random, depth: int) -> Any:
    """A mapping at depth 0, any JSON value below."""
    if depth == 0 or (depth < 3 and rng.random() < 0.2):
        return {key: value(rng, depth + 1) for key in rng.sample(KEYS, rng.randint(0, 4))}
    if depth < 3 and rng.random() < 0.2:
        return [value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return rng.choice((text(rng), True, False, None, 0, -3, 10**20, 1.0, 2.5e-9, 1e22, "", "null"))


def _tool(rng: random.Random, name: str) -> dict[str, Any]:
    function: dict[str, Any] = {"name": name, "description": text(rng)}
    if rng.random() < 0.9:
        properties = {key: schema(rng, 0) for key in rng.sample(KEYS, rng.randint(0, 5))}
        function["parameters"] = {"type": "object", "properties": properties} | _required(rng, properties)
    if rng.random() < 0.2:
        function["response"] = {"type": "object"} | ({"description": text(rng)} if rng.random() < 0.5 else {})
    return {"type": "function", "function": function}


def _required(rng: random.Random, properties: dict[str, Any]) -> dict[str, Any]:
    names = [key for key in properties if rng.random() < 0.5]
    return {"required": names} if names or rng.random() < 0.3 else {}


def schema(rng: random.Random, depth: int) -> dict[str, Any]:
    """A schema that the template writes without loss, so that nothing is resolved or reworded."""
    kind = rng.choice(("string", "integer", "number", "boolean", "array", "object") if depth < 3 else ("string",))
    made: dict[str, Any] = {"type": rng.choice((kind, kind.upper()))}
    if rng.random() < 0.6:
        made["description"] = text(rng)
    if rng.random() < 0.2:
        made["nullable"] = rng.choice((True, False))
    if kind == "string" and rng.random() < 0.4:
        made["enum"] = rng.choice((["c", "f"], ["ü"], []))
    if kind in ("integer", "number") and rng.random() < 0.3:
        made |= {"minimum": 0, "default": 3}
    if kind == "array" and rng.random() < 0.8:
        made["items"] = rng.choice((schema(rng, depth + 1), schema(rng, depth + 1), {}))
    if kind == "object":
        properties = {key: schema(rng, depth + 1) for key in rng.sample(KEYS, rng.randint(0, 3))}
        made |= rng.choice(({"properties": properties}, {"properties": properties}, {"a": schema(rng, depth + 1)}, {}))
        made |= _required(rng, properties) if "properties" in made else {}
    return made
