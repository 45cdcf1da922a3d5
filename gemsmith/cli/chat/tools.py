"""Tools in a chat: declared in a JSON file, called by the model, answered by the person. Nothing is ever run."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from gemsmith.chat.tools import read_tools
from gemsmith.chat.values import Message, Text, ToolCall
from gemsmith.cli.documents import path_of
from gemsmith.cli.output import note
from gemsmith.config.document import strict_json
from gemsmith.errors import ToolError
from gemsmith.files import read_bytes

MAX_BYTES = 1 << 20


def read_tools_file(path: str, model: Any) -> list[dict[str, Any]]:
    """The declarations in a file: OpenAI's list, or one of them; ToolError if the model could not be told of them."""
    file = path_of(path)
    try:
        declared = strict_json(read_bytes(file, MAX_BYTES, ToolError))
    except (ValueError, RecursionError) as error:
        raise ToolError(f"{file} is not JSON ({error}); it needs a list of tools as OpenAI's API takes it") from None
    if isinstance(declared, dict):
        declared = declared["tools"] if isinstance(declared.get("tools"), list) else [declared]
    if not isinstance(declared, list) or not declared or not all(isinstance(tool, dict) for tool in declared):
        raise ToolError(f"{file} declares no tools; it needs a list of them as OpenAI's API takes it")
    read_tools(declared)
    model.render([Message("user", (Text("hi"),))], tools=declared)
    return declared


def ask_person(read: Callable[[str], str]) -> Callable[[ToolCall], Any]:
    """A function that has the person type what a call returned; None where they type nothing."""

    def result(call: ToolCall) -> Any:
        try:
            text = read(f"{call.name} returns").strip()
        except EOFError:
            text = ""
        if not text:
            note(f"skipped: {call.name} has no result")
        return parsed(text) if text else None

    return result


def parsed(text: str) -> Any:
    """JSON as the data it is, anything else as the words it is."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, (dict, list, int, float)) else text
