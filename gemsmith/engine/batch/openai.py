"""OpenAI's batch lines: {"custom_id", "method": "POST", "url": "/v1/chat/completions", "body"}, and their answers.

Input as in platform.openai.com/docs/guides/batch; answers have the same shape, so that programs written for that
service read them. What a body says and cannot be honoured here is an error; what has no bearing on the answer (`user`,
`metadata`, …) is passed over, and `model` too: the batch's model answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gemsmith.chat.record import to_record
from gemsmith.chat.values import Message, TokenLogprob
from gemsmith.config.fields import shown
from gemsmith.engine.batch.request import (
    SAMPLING,
    Defaults,
    Request,
    check_id,
    check_known,
    messages_of,
    request,
    text_of,
    truth_of,
)
from gemsmith.errors import ContextLengthError, RequestError

URL = "/v1/chat/completions"
LINE = ("custom_id", "method", "url", "body")
NO_BEARING = (
    "model", "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
    "prompt_cache_retention",
)  # fmt: skip
ONLY: dict[str, Any] = {  # what these may say here
    "n": 1,
    "stream": False,
    "response_format": {"type": "text"},
    "modalities": ["text"],
    "parallel_tool_calls": True,
}
OWN_WORDS = ("max_completion_tokens", "tool_choice", "reasoning_effort", "chat_template_kwargs")
BODY = ("messages", "tools", "think", "preserve_thinking", *SAMPLING, *OWN_WORDS, *ONLY, *NO_BEARING)
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")


def is_openai(value: Any) -> bool:
    """Whether a line is meant for OpenAI's batches."""
    return isinstance(value, dict) and any(key in value for key in ("body", "url", "method"))


def read_request(value: Mapping[str, Any], number: int, defaults: Defaults) -> Request:
    """The request of a line; RequestError says what is wrong with it."""
    check_known(value, LINE)
    check_id("custom_id", value.get("custom_id"))
    if value.get("method") != "POST" or value.get("url") != URL:
        found = f"{shown(value.get('method'))} {shown(value.get('url'))}"
        raise RequestError(f"method and url must be POST {URL}, found {found}")
    body = value.get("body")
    if not isinstance(body, dict):
        raise RequestError(f"body must be an object, found {shown(body)}")
    check_known(body, BODY, " in body")
    for key, only in ONLY.items():
        if body.get(key) is not None and (body[key] != only or type(body[key]) is not type(only)):
            raise RequestError(f"{key} can only be {shown(only)} here, found {shown(body[key])}")
    if body.get("messages") is None:
        raise RequestError("body has no messages")
    model = text_of(body, "model") if body.get("model") is not None else None
    return replace(request(messages_of(body), body | translated(body), number, defaults), model=model)


def translated(body: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAI's words, and those that other servers added, as ours."""
    out: dict[str, Any] = {}
    if body.get("max_completion_tokens") is not None:
        out["max_tokens"] = body["max_completion_tokens"]
    choice = body.get("tool_choice")
    if choice == "none":
        out["tools"] = []
    elif choice not in (None, "auto"):
        raise RequestError(f"tool_choice can only be 'auto' or 'none' here, found {shown(choice)}")
    effort = body.get("reasoning_effort")
    if effort is not None:
        if effort not in EFFORTS:
            raise RequestError(f"reasoning_effort must be one of {', '.join(EFFORTS)}, found {shown(effort)}")
        out["think"] = effort != "none"
    extra = body.get("chat_template_kwargs")
    if extra is not None:
        if not isinstance(extra, dict):
            raise RequestError(f"chat_template_kwargs must be an object, found {shown(extra)}")
        check_known(extra, ("enable_thinking",), " in chat_template_kwargs")
        if extra.get("enable_thinking") is not None:
            out["think"] = truth_of(extra, "enable_thinking")
    return out


def answered(message: Message, custom_id: Any, token: str, model: str) -> dict[str, Any]:
    """The line that answers one."""
    return response(custom_id, token, 200, completion(message, token, model))


def failed(error: tuple[str, str], exception: Exception, custom_id: Any, token: str) -> dict[str, Any]:
    """The line that says why there is no answer."""
    kind, text = error
    is_theirs = isinstance(exception, RequestError)
    code = "context_length_exceeded" if isinstance(exception, ContextLengthError) else kind
    told = {"message": text, "type": "invalid_request_error" if is_theirs else "server_error", "param": None}
    return response(custom_id, token, 400 if is_theirs else 500, {"error": told | {"code": code}})


def response(custom_id: Any, token: str, status: int, body: dict[str, Any]) -> dict[str, Any]:
    """The frame. `error` is only for lines that no server ever answered, of which there are none here."""
    whole = {"status_code": status, "request_id": f"req_{token}", "body": body}
    return {"id": f"batch_req_{token}", "custom_id": custom_id, "response": whole, "error": None}


def completion(message: Message, token: str, model: str) -> dict[str, Any]:
    """A chat.completion. `created` is 0: the same input gives the same bytes, whenever it is run."""
    record = to_record(message)
    words = {"role": "assistant", "content": record["content"], "refusal": None}
    words |= {key: record[key] for key in ("reasoning_content", "tool_calls") if key in record}
    for index, call in enumerate(words.get("tool_calls", ())):
        call.setdefault("id", f"call_{token}_{index}")
    choice = {"index": 0, "message": words, "logprobs": logprobs(message), "finish_reason": message.finish_reason}
    frame = {"id": f"chatcmpl-{token}", "object": "chat.completion", "created": 0, "model": model}
    return frame | {"choices": [choice], "usage": record.get("usage")}


def logprobs(message: Message) -> dict[str, Any] | None:
    """Log-probabilities as OpenAI has them; that of no chance at all is OpenAI's -9999."""
    if message.logprobs is None:
        return None

    def entry(text: str, logprob: float) -> dict[str, Any]:
        return {"token": text, "logprob": max(logprob, -9999.0), "bytes": list(text.encode("utf-8", "replace"))}

    def whole(token: TokenLogprob) -> dict[str, Any]:
        top = [entry(text, logprob) for _, text, logprob in token.top]
        return entry(token.text, token.logprob) | {"top_logprobs": top}

    return {"content": [whole(token) for token in message.logprobs], "refusal": None}
