"""What callers give as a conversation, read into turns: messages, OpenAI's dictionaries, strings, or one of these.

A list that holds pictures, sounds or other parts is one question: its strings are text between them.
Accepts the shapes of OpenAI's chat messages (content as string, None or parts; `tool_calls` with arguments as JSON text
or mapping; `role: tool` with `tool_call_id`), what peers add to them (`reasoning`, `reasoning_content`), and Google's
older `tool_responses` on an assistant message. Everything else is an error that names the message.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from gemsmith.chat.parts import read_content
from gemsmith.chat.turns import Turn, attach, check_call, turns_of
from gemsmith.chat.values import Media, Message, Text, ToolCall, ToolResult
from gemsmith.errors import MessageError

Given = Message | Mapping[str, Any] | str | Text | Media
ALIASES = {"model": "assistant"}
OPENAI_ROLES = ("system", "developer", "user", "assistant", "tool")


def read_turns(messages: Given | Sequence[Given]) -> list[Turn]:
    """The conversation in the template's order, checked."""
    if not isinstance(messages, (Message, Mapping, str, Text, Media, Iterable)):
        raise MessageError(f"messages are a list of messages or one message, not {type(messages).__name__}")
    given: list[Any] = list(messages) if _is_list(messages) else [messages]
    if not given:
        raise MessageError("no messages: a conversation needs at least one")
    if _is_question(given):
        given = [Message("user", tuple(Text(part) if isinstance(part, str) else part for part in given))]
    turns: list[Turn] = []
    for index, message in enumerate(given):
        for turn in _read(message, index):
            if turn.role == "tool":
                attach(turns, turn.results, index, is_openai=not isinstance(message, Message))
            else:
                turns.append(turn)
    return turns


def _is_list(messages: Any) -> TypeGuard[Iterable[Given]]:
    return not isinstance(messages, (Message, Mapping, str, Text, Media))


def _is_question(given: Sequence[Any]) -> bool:
    """Whether this is what stands in one message; strings alone are a message each."""
    has_parts = any(isinstance(part, (Text, Media)) for part in given)
    return has_parts and all(isinstance(part, (Text, Media, str)) for part in given)


def _read(message: Given, index: int) -> Sequence[Turn]:
    if isinstance(message, str):
        return [Turn("user", message)]
    if isinstance(message, Message):
        return list(turns_of(message, index))
    if hasattr(message, "model_dump"):  # what OpenAI's client returns
        message = message.model_dump(exclude_none=True)
    if isinstance(message, Mapping):
        return [_from_openai(message, index)]
    if isinstance(message, (Text, Media)):
        raise MessageError(
            f"message {index} is a lone {type(message).__name__}; among messages, put it into one: "
            f'Message("user", (gemsmith.{type(message).__name__}(…), gemsmith.Text("…")))'
        )
    raise MessageError(
        f"message {index} is {type(message).__name__}; a message is a Message, an OpenAI-style dictionary or a string"
    )


def _from_openai(message: Mapping[str, Any], index: int) -> Turn:
    role = ALIASES.get(str(message.get("role")), message.get("role"))
    if role not in OPENAI_ROLES:
        raise MessageError(f"message {index}: unknown role {role!r}; use one of {', '.join(OPENAI_ROLES)}")
    if role == "tool":
        return Turn("tool", results=(_result(message),))
    content = read_content(message.get("content"), index)
    if role != "assistant":
        if role != "user" and isinstance(content, tuple) and any(not isinstance(part, Text) for part in content):
            raise MessageError(f"message {index}: a {role} message takes text only; put media into a user message")
        return Turn(role, content)
    return Turn(role, content, _thought(message, index), _calls(message, index), _responses(message, index))


def _thought(message: Mapping[str, Any], index: int) -> str:
    thought = message.get("reasoning") or message.get("reasoning_content") or ""
    if not isinstance(thought, str):
        raise MessageError(f"message {index}: reasoning must be a string, not {type(thought).__name__}")
    return thought


def _calls(message: Mapping[str, Any], index: int) -> tuple[ToolCall, ...]:
    calls = message.get("tool_calls") or ()
    if isinstance(calls, (str, Mapping)) or not isinstance(calls, Sequence):
        raise MessageError(f"message {index}: tool_calls must be a list, not {type(calls).__name__}")
    return tuple(_call(call, index) for call in calls)


def _call(call: Any, index: int) -> ToolCall:
    if not isinstance(call, ToolCall):
        if not isinstance(call, Mapping):
            raise MessageError(f"message {index}: a tool call is a dictionary, not {type(call).__name__}")
        function = call.get("function", call)
        if not isinstance(function, Mapping):
            raise MessageError(f"message {index}: a tool call's function is a dictionary, not {function!r}")
        call = ToolCall(function.get("name"), _arguments(function.get("arguments"), index), call.get("id"))  # type: ignore[arg-type]
    check_call(call, index)
    return call


def _arguments(arguments: Any, index: int) -> Any:
    """A mapping as it is, JSON text decoded, nothing as no arguments."""
    if arguments is None or arguments == "":
        return {}
    if not isinstance(arguments, str):
        return arguments
    try:
        decoded = json.loads(arguments)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"message {index}: tool call arguments are not JSON ({error}): {arguments[:80]!r}") from None
    return decoded


def _result(message: Mapping[str, Any]) -> ToolResult:
    return ToolResult(message.get("content"), message.get("name"), message.get("tool_call_id"))


def _responses(message: Mapping[str, Any], index: int) -> tuple[ToolResult, ...]:
    """Google's older form: results on the assistant message itself."""
    responses = message.get("tool_responses") or ()
    if isinstance(responses, (str, Mapping)) or not all(isinstance(r, Mapping) and "response" in r for r in responses):
        raise MessageError(f"message {index}: tool_responses is a list of dictionaries with name and response")
    return tuple(ToolResult(_data(r["response"]), r.get("name") or "unknown") for r in responses)


def _data(response: Any) -> Any:
    """In this form a sequence is always the tool's data, never parts."""
    return list(response) if isinstance(response, tuple) else response
