"""A message as JSON, and back without loss: what saved conversations and batch output are made of.

A record is OpenAI's dictionary (role, content, tool_calls, tool_call_id, name, usage, finish_reason) with the
`reasoning_content` that servers add, so that other programs can read it and `Model.chat` takes it as a message. What
that form cannot say (the order of words and calls, a call that could not be parsed, several results in one message)
stands beside it in `parts`, which then is what counts. Reading checks everything: records are files, and files lie.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from gemsmith.chat.part_record import (
    call_record,
    content_record,
    field,
    part_record,
    read_call,
    read_content,
    read_list,
    read_part,
    read_result,
    result_record,
    shortened,
)
from gemsmith.chat.values import FinishReason, Malformed, Message, Part, Role, Text, Thought, TokenLogprob, Usage
from gemsmith.errors import MessageError

MAX_LOGPROB = 1e300
SENSES = ("image", "video", "audio")  # prompt_tokens_details, where any are there: image_tokens and so on


def to_record(message: Message) -> dict[str, Any]:
    """The message as values that JSON has. MessageError where it holds something JSON has no form for."""
    record = {"role": message.role, **_standard(message)}
    if _read_standard(record) != message.parts:
        record["parts"] = [part_record(part) for part in message.parts]
    if message.errors:
        record["errors"] = [{"text": error.text, "reason": error.reason} for error in message.errors]
    if message.finish_reason is not None:
        record["finish_reason"] = message.finish_reason
    if message.usage is not None:
        record["usage"] = _usage_record(message.usage)
    if message.pictures:
        record["pictures"] = [list(size) for size in message.pictures]
    if message.logprobs is not None:
        record["logprobs"] = [_logprob_record(token) for token in message.logprobs]
    return record


def from_record(record: Any) -> Message:
    """The message that `record` describes; MessageError says what is wrong with it."""
    if not isinstance(record, Mapping):
        raise MessageError(f"a message is a JSON object, found {type(record).__name__}")
    if record.get("role") not in get_args(Role):
        raise MessageError(f"a message's role is one of {', '.join(get_args(Role))}, found {record.get('role')!r:.60}")
    if record.get("parts") is not None:
        parts = tuple(read_part(part) for part in read_list(record, "parts"))
    else:
        parts = _read_standard(record)
    reason = record.get("finish_reason")
    if reason is not None and reason not in get_args(FinishReason):
        raise MessageError(f"finish_reason is one of {', '.join(get_args(FinishReason))}, found {reason!r:.60}")
    logprobs = tuple(map(_read_logprob, read_list(record, "logprobs"))) if record.get("logprobs") is not None else None
    pictures = tuple(map(_read_size, read_list(record, "pictures"))) if record.get("pictures") is not None else None
    return Message(record["role"], parts, _read_usage(record.get("usage")), reason, logprobs, pictures)


def _read_size(size: Any) -> tuple[int, int]:
    if not isinstance(size, list) or len(size) != 2 or not all(type(n) is int and 0 < n < 1 << 31 for n in size):
        raise MessageError(f"the size of a picture is its width and height in pixels, found {shortened(size)}")
    return size[0], size[1]


def _standard(message: Message) -> dict[str, Any]:
    """What OpenAI's dictionary can say of the message: all of it, or as much as there is room for."""
    if message.role == "tool":
        return result_record(message.parts[0]) if message.parts else {"content": None}
    if message.role != "assistant":
        return {"content": content_record(message.parts)}
    has_words = any(isinstance(part, (Text, Malformed)) for part in message.parts)
    record: dict[str, Any] = {"content": message.text if has_words else None}
    if message.thought is not None:
        record["reasoning_content"] = message.thought
    if message.tool_calls:
        record["tool_calls"] = [call_record(call) for call in message.tool_calls]
    return record


def _read_standard(record: Mapping[str, Any]) -> tuple[Part, ...]:
    """The parts that OpenAI's dictionary means: thought, words, calls, in this order."""
    if record["role"] == "tool":
        return (read_result(record),)
    content = read_content(record.get("content"))
    if record["role"] != "assistant":
        return content
    thought = field(record, "reasoning_content", str, optional=True) or ""
    calls = read_list(record, "tool_calls") if record.get("tool_calls") is not None else []
    return ((Thought(thought),) if thought else ()) + content + tuple(map(read_call, calls))


def _usage_record(usage: Usage) -> dict[str, Any]:
    media = {f"{sense}_tokens": getattr(usage, f"{sense}_tokens") for sense in SENSES}
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        **({"prompt_tokens_details": media} if any(media.values()) else {}),
        "completion_tokens_details": {"reasoning_tokens": usage.thought_tokens},
    }


def _read_usage(record: Any) -> Usage | None:
    if record is None:
        return None
    if not isinstance(record, Mapping):
        raise MessageError(f"usage is a JSON object, found {type(record).__name__}")
    details = field(record, "completion_tokens_details", Mapping, optional=True) or {}
    thoughts = _count(details, "reasoning_tokens") if "reasoning_tokens" in details else 0
    media = field(record, "prompt_tokens_details", Mapping, optional=True) or {}
    seen = {name: _count(media, name) for sense in SENSES if (name := f"{sense}_tokens") in media}
    return Usage(_count(record, "prompt_tokens"), _count(record, "completion_tokens"), thoughts, **seen)


def _count(record: Mapping[str, Any], key: str) -> int:
    count: int = field(record, key, int)
    if not 0 <= count < 1 << 63:
        raise MessageError(f"{key} counts tokens, found {shortened(count)}")
    return count


def _logprob_record(token: TokenLogprob) -> dict[str, Any]:
    """JSON has no infinity: null is the logarithm of no chance at all."""
    top = [{"id": id, "token": text, "logprob": _finite(logprob)} for id, text, logprob in token.top]
    return {"id": token.id, "token": token.text, "logprob": _finite(token.logprob), "top_logprobs": top}


def _finite(logprob: float) -> float | None:
    if math.isnan(logprob) or logprob == math.inf:
        raise MessageError(f"a log-probability is at most 0, found {logprob}")
    return None if logprob == -math.inf else logprob


def _read_logprob(record: Any) -> TokenLogprob:
    if not isinstance(record, Mapping):
        raise MessageError(f"a token's log-probability is a JSON object, found {type(record).__name__}")
    alternatives: Sequence[Any] = read_list(record, "top_logprobs") if record.get("top_logprobs") is not None else ()
    if not all(isinstance(alternative, Mapping) for alternative in alternatives):
        raise MessageError("top_logprobs is a list of JSON objects")
    return TokenLogprob(*_token(record), tuple(map(_token, alternatives)))


def _token(record: Mapping[str, Any]) -> tuple[int, str, float]:
    logprob = record.get("logprob", 0)
    if logprob is not None and (isinstance(logprob, bool) or not isinstance(logprob, (int, float))):
        raise MessageError(f"logprob is a number or null, found {type(logprob).__name__}")
    if logprob is not None and not -MAX_LOGPROB <= logprob <= MAX_LOGPROB:  # an int may be too large for a float
        raise MessageError(f"logprob is a finite number, found {shortened(logprob)}")
    return field(record, "id", int), field(record, "token", str), -math.inf if logprob is None else float(logprob)
