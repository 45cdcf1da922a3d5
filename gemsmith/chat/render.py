"""Messages to a prompt, as Google's canonical Gemma 4 chat template of 2026-07-09 writes it (text and ids).

Nothing is executed: this file is the template's logic in Python, rule by rule, and tests hold it against jinja2 on
generated conversations. Control tokens are inserted here; content is encoded by a tokenizer that knows none. The pieces
also carry which of them the model itself must write, for `training.py`. Tool declarations are `declare.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gemsmith.chat.declare import write_declaration
from gemsmith.chat.messages import Given, read_turns
from gemsmith.chat.parts import Content
from gemsmith.chat.pieces import Pieces
from gemsmith.chat.syntax import write_call, write_value
from gemsmith.chat.tools import Tool, read_tools
from gemsmith.chat.turns import Turn
from gemsmith.chat.values import Media, Prompt, Text, ToolResult

if TYPE_CHECKING:
    from gemsmith.tokenizer import Tokenizer

SYSTEM_ROLES = ("system", "developer")


@dataclass(frozen=True)
class Style:
    """What varies between renderings. `empty_thought` is the 12B, 26B and 31B form of the generation prompt."""

    think: bool = False
    preserve_thinking: bool = False
    empty_thought: bool = False


def render(
    messages: Given | Sequence[Given],
    *,
    tokenizer: Tokenizer,
    tools: Sequence[Any] = (),
    think: bool = False,
    preserve_thinking: bool = False,
    empty_thought: bool = False,
    add_generation_prompt: bool = True,
) -> Prompt:
    """The prompt of a conversation. `empty_thought` iff the config's `hidden_size_per_layer_input` is 0.

    Media are one placeholder each, as the template writes them: `engine.Model.render` prepares and fills them in.
    """
    style = Style(think, preserve_thinking, empty_thought)
    return compose(messages, tools, style, add_generation_prompt=add_generation_prompt).prompt(tokenizer)


def compose(
    messages: Given | Sequence[Given], tools: Sequence[Any], style: Style, *, add_generation_prompt: bool = True
) -> Pieces:
    """The prompt of a conversation before it becomes ids, which is what takes long where it is long."""
    turns = read_turns(messages)
    pieces = Pieces()
    write_opening(pieces, turns, read_tools(tools), style)
    body = body_of(turns)
    for index in range(len(body)):
        write_turn(pieces, body, index, style)
    if add_generation_prompt:
        write_generation_prompt(pieces, body, style)
    return pieces


def body_of(turns: list[Turn]) -> list[Turn]:
    """The turns after a leading system turn."""
    return turns[1:] if turns[0].role in SYSTEM_ROLES else turns


def write_opening(pieces: Pieces, turns: list[Turn], tools: Sequence[Tool], style: Style) -> None:
    """`<bos>` and the system turn, which is there for thinking and tools even without a system message."""
    pieces.control("<bos>")
    has_system = turns[0].role in SYSTEM_ROLES
    if not (style.think or tools or has_system):
        return
    pieces.control("<|turn>")
    pieces.text("system\n")
    if style.think:
        pieces.control("<|think|>")
        pieces.text("\n")
    if has_system:
        pieces.text(_system_text(turns[0].content))
    for tool in tools:
        pieces.control("<|tool>")
        write_declaration(pieces, tool)
        pieces.control("<tool|>")
    pieces.control("<turn|>")
    pieces.text("\n")


def _system_text(content: Content) -> str:
    """A string is trimmed; parts are trimmed one by one, each followed by a space."""
    if isinstance(content, tuple):
        return "".join(part.text.strip() + " " for part in content if isinstance(part, Text))
    return (content or "").strip()


def write_turn(pieces: Pieces, body: list[Turn], index: int, style: Style) -> None:
    """One turn after the opening; consecutive assistant messages share one."""
    turn = body[index]
    if turn.role == "assistant":
        if not continues(body, index):
            open_model_turn(pieces)
        if shows_thought(body, index, style):
            write_thought(pieces, turn.thought)
        pieces.learn = True
        write_answer(pieces, body, index)
    else:
        pieces.control("<|turn>")
        pieces.text(turn.role + "\n")
        _write_content(pieces, turn.content, is_model=False)
        pieces.control("<turn|>")
        pieces.text("\n")


def continues(body: list[Turn], index: int) -> bool:
    """Whether this turn goes on in the model turn before it."""
    return index > 0 and body[index].role == body[index - 1].role == "assistant"


def open_model_turn(pieces: Pieces) -> None:
    pieces.control("<|turn>")
    pieces.text("model\n")


def shows_thought(body: list[Turn], index: int, style: Style) -> bool:
    """Thoughts before the last user message are dropped, unless kept for turns that called tools."""
    turn = body[index]
    is_current = all(later.role != "user" for later in body[index:])
    return bool(turn.thought) and (is_current or (style.preserve_thinking and bool(turn.calls)))


def write_thought(pieces: Pieces, thought: str) -> None:
    pieces.learn = True
    pieces.control("<|channel>")
    pieces.text("thought\n" + thought + "\n")
    pieces.control("<channel|>")


def write_answer(pieces: Pieces, body: list[Turn], index: int) -> None:
    """Calls, their results, content, and what closes the turn. From the results on, nothing here is to be learnt."""
    turn = body[index]
    for call in turn.calls:
        write_call(pieces, call)
    _write_results(pieces, turn.results)
    _write_content(pieces, turn.content, is_model=True)
    if turn.calls and not turn.results:
        pieces.control("<|tool_response>")
    elif not stays_open(body, index):
        pieces.control("<turn|>")
        pieces.learn = False
        pieces.text("\n")
    pieces.learn = False


def stays_open(body: list[Turn], index: int) -> bool:
    """Whether the model goes on in this turn: with the next message, or with what it writes after bare results."""
    if index + 1 < len(body):
        return continues(body, index + 1)
    return bool(body[index].results) and not has_words(body[index].content)


def has_words(content: Content) -> bool:
    """Whether the model's content leaves anything once it is trimmed."""
    pieces = Pieces()
    _write_content(pieces, content, is_model=True)
    return bool(pieces.spelled().strip())


def _write_results(pieces: Pieces, results: Sequence[ToolResult]) -> None:
    """The model asks for the first result by its opening token; the rest is given to it."""
    for result in results:
        pieces.control("<|tool_response>")
        pieces.learn = False
        pieces.text(f"response:{result.name}")
        content = result.content
        if isinstance(content, tuple):
            text = "".join(part.text for part in content if isinstance(part, Text))
            write_value(pieces, {"value": text})
        else:
            write_value(pieces, content if isinstance(content, Mapping) else {"value": content})
        pieces.control("<tool_response|>")
        if isinstance(content, tuple):
            _write_media(pieces, content)


def _write_media(pieces: Pieces, parts: Sequence[Text | Media]) -> None:
    for part in parts:
        if not isinstance(part, Text):
            pieces.placeholder(part)


def _write_content(pieces: Pieces, content: Content, *, is_model: bool) -> None:
    """Text is trimmed part by part; in the model's words, thoughts spelled out as text are removed first."""
    for part in (Text(content),) if isinstance(content, str) else content or ():
        if isinstance(part, Text):
            pieces.text(strip_thinking(part.text) if is_model else part.text.strip())
        else:
            pieces.placeholder(part)


def strip_thinking(text: str) -> str:
    """Text without `<|channel>…<channel|>` spans (spelled out, as some clients send them back), trimmed."""
    return "".join(part.split("<|channel>")[0] for part in text.split("<channel|>")).strip()


def write_generation_prompt(pieces: Pieces, body: list[Turn], style: Style) -> None:
    """Opens the model's turn, or nothing where it is open: after a call, or after results (then with a thought)."""
    last = body[-1] if body else None
    if last is not None and last.results:
        if style.think:
            open_thought(pieces)
    elif last is None or not last.calls:
        open_model_turn(pieces)
        if style.empty_thought and not style.think:
            open_thought(pieces)
            pieces.control("<channel|>")


def open_thought(pieces: Pieces) -> None:
    pieces.control("<|channel>")
    pieces.text("thought\n")
