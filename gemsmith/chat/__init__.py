"""Messages to tokens and back, for Gemma 4: no template is executed, and no text becomes a control token.

    values.py       what a conversation is made of: messages, parts, prompts, events
    render.py       render: messages to a prompt, as Google's canonical template writes it
    parse.py        Parser, parse: ids of the model to events and a message
    training.py     render_training, render_reply: what a model must learn to write
    template.py     the templates we know, by hash, and a warning for others
    messages.py     … what callers give as messages, read into turns
    parts.py        … and the parts of their content
    media_parts.py  … of which media have many shapes and options
    turns.py        … a conversation in the template's order
    tools.py        … what callers give as tools: dictionaries, Pydantic models, functions
    functions.py    … a Python function's signature as JSON schema
    docstrings.py   … what its docstring says of each parameter
    schema.py       … JSON schema with references, unions and nullables resolved
    declare.py      … a tool's declaration
    syntax.py       … Gemma's value grammar, both directions
    pieces.py       … control tokens and content, kept apart until they become ids
    spans.py        … what stands in a prompt where media are

Files marked … serve the first five.
"""

from gemsmith.chat.parse import Parser, opens_thought, parse
from gemsmith.chat.render import render
from gemsmith.chat.template import template_name, template_warning
from gemsmith.chat.tools import Tool, read_tool, read_tools
from gemsmith.chat.training import render_reply, render_training

__all__ = [
    "Parser",
    "Tool",
    "opens_thought",
    "parse",
    "read_tool",
    "read_tools",
    "render",
    "render_reply",
    "render_training",
    "template_name",
    "template_warning",
]
