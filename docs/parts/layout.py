"""A conversation's tokens in a row, coloured: control tokens, given text, and what the model writes itself.

The tokens are pebble's, whose control ids are Gemma's; the layout is the same for every size.
"""

from __future__ import annotations

from html import escape
from typing import Any

from gemsmith.chat.training import render_training
from gemsmith.chat.values import Message, Text, Thought, ToolCall, ToolResult
from gemsmith.hub.names import DEFAULT_TOKENIZER
from gemsmith.tokenizer import load_tokenizer

QUESTION = "What is 17 + 25?"


def get_weather(city: str) -> str:
    """The weather now."""
    raise NotImplementedError("declared, never called")


def chat() -> str:
    """A system message, a question, an answer."""
    messages = [_said("system", "Be brief."), _said("user", QUESTION), _said("assistant", "42")]
    return rows(messages, "A question and its answer.")


def thinking() -> str:
    """The same question with thinking on."""
    reply = Message("assistant", (Thought("ones: 7+5=12"), Text("42")))
    return rows([_said("user", QUESTION), reply], "The same question with thinking on.", think=True)


def tools() -> str:
    """A call, its result, and the answer, all in one model turn."""
    call = Message("assistant", (ToolCall("get_weather", {"city": "Paris"}),))
    result = Message("tool", (ToolResult("sunny", "get_weather"),))
    messages = [_said("user", "How is Paris?"), call, result, _said("assistant", "It is sunny.")]
    return rows(messages, "A tool: declared above, called, answered, put into words.", tools=[get_weather])


def rows(messages: list[Message], caption: str, **settings: Any) -> str:
    """The figure: a row of chips for every line of the prompt."""
    tokenizer = load_tokenizer(DEFAULT_TOKENIZER)
    ids, written = render_training(messages, tokenizer=tokenizer, **settings)
    lines, chips = [], ""
    for id, is_written in zip(ids, written, strict=True):
        chips += chip(id, tokenizer.token(id), id in tokenizer.control_ids, is_written)
        if tokenizer.token(id) == "\n":
            lines.append(chips)
            chips = ""
    lines += [chips] if chips else []
    body = "\n".join(f'<div class="gem-row">{line}</div>' for line in lines)
    legend = '<span class="gem-key control">control</span> <span class="gem-key">text</span> '
    legend += '<span class="gem-key written">written by the model</span>'
    return f'<figure class="gem-chips">\n{body}\n<figcaption>{escape(caption)} {legend}</figcaption>\n</figure>'


def chip(id: int, text: str, is_control: bool, is_written: bool) -> str:
    """One token: its text, and below it its id."""
    kind = " control" * is_control + " written" * is_written
    shown = escape(text).replace("▁", "␣").replace("\n", "↵")
    return f'<span class="gem-chip{kind}"><b>{shown}</b><i>{id}</i></span>'


def _said(role: Any, text: str) -> Message:
    return Message(role, (Text(text),))
