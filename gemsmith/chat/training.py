"""Conversations as a model learns them: ids, and a mask over what it must write itself.

The law: for each stretch the mask marks, the ids before it are exactly the prompt that `render` gives at inference for
the messages before it, with the same settings. A stretch that cannot satisfy it is context, not a target:

- replies of an earlier user turn whose thoughts the template has dropped since: they would teach not to think;
- where the prompt holds an empty thought (12B, 26B, 31B with thinking off), model turns that are not the last message,
  for the template forgets that thought in history;
- with thinking on, replies to a tool result without a thought, for there the prompt opens one. As the last message such
  a reply is a target, and closes that thought at once. The same goes for a thought there that begins with a newline,
  which history joins with the newline of the prompt into one token.

To learn every reply of such a conversation, render it once per reply, cut after that reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gemsmith.chat.messages import Given, read_turns
from gemsmith.chat.pieces import Pieces, encode, encode_runs
from gemsmith.chat.render import (
    Style,
    body_of,
    continues,
    has_words,
    open_model_turn,
    open_thought,
    shows_thought,
    write_answer,
    write_opening,
    write_thought,
    write_turn,
)
from gemsmith.chat.syntax import write_call
from gemsmith.chat.tools import read_tools
from gemsmith.chat.turns import Turn
from gemsmith.chat.values import Malformed, Message, Text, Thought, ToolCall
from gemsmith.errors import MessageError

if TYPE_CHECKING:
    from gemsmith.tokenizer import Tokenizer


def render_training(
    messages: Given | Sequence[Given],
    *,
    tokenizer: Tokenizer,
    tools: Sequence[Any] = (),
    think: bool = False,
    preserve_thinking: bool = False,
    empty_thought: bool = False,
) -> tuple[list[int], list[bool]]:
    """The ids of a conversation, and for each whether the model must produce it: thoughts, answers, calls, closings."""
    style = Style(think, preserve_thinking, empty_thought)
    turns = read_turns(messages)
    pieces = Pieces()
    write_opening(pieces, turns, read_tools(tools), style)
    body = body_of(turns)
    for index, turn in enumerate(body):
        if turn.role == "assistant" and is_target(body, index, style):
            _write_target(pieces, body, index, style)
        else:
            _write_context(pieces, body, index, style)
    ids: list[int] = []
    mask: list[bool] = []
    for learn, run in encode_runs(pieces.items, tokenizer):
        ids += run
        mask += [learn] * len(run)
    return ids, mask


def is_target(body: list[Turn], index: int, style: Style) -> bool:
    """Whether the ids before this assistant turn are what the model reads at inference. See the module's rules."""
    turn, is_last = body[index], index + 1 == len(body)
    follows_results = continues(body, index) and bool(body[index - 1].results)
    if any(earlier.thought and not shows_thought(body, at, style) for at, earlier in _since_user(body, index)):
        return False
    if style.empty_thought and not style.think and not continues(body, index) and not is_last:
        return False
    fits_opened_thought = bool(turn.thought) and not turn.thought.startswith("\n")
    return is_last or not (style.think and follows_results) or fits_opened_thought


def _since_user(body: list[Turn], index: int) -> list[tuple[int, Turn]]:
    """The turns from the last user message before `index` up to it, with their places."""
    start = max((at for at in range(index) if body[at].role == "user"), default=0)
    return [(at, body[at]) for at in range(start, index + 1) if body[at].role == "assistant"]


def _write_context(pieces: Pieces, body: list[Turn], index: int, style: Style) -> None:
    start = len(pieces.items)
    write_turn(pieces, body, index, style)
    pieces.items[start:] = [piece._replace(learn=False) for piece in pieces.items[start:]]


def _write_target(pieces: Pieces, body: list[Turn], index: int, style: Style) -> None:
    """One assistant turn: what the prompt would hold is not marked, what the model adds is."""
    turn = body[index]
    _check_target(turn, index, style)
    follows_results = continues(body, index) and bool(body[index - 1].results)
    if not continues(body, index):
        open_model_turn(pieces)
    if follows_results and style.think:
        open_thought(pieces)
        pieces.learn = True
        pieces.text(turn.thought + "\n" if turn.thought else "")
        pieces.control("<channel|>")
    elif turn.thought:
        write_thought(pieces, turn.thought)
    elif style.empty_thought and not style.think and not continues(body, index):
        open_thought(pieces)
        pieces.control("<channel|>")
    pieces.learn = True
    write_answer(pieces, body, index)


def _check_target(turn: Turn, index: int, style: Style) -> None:
    if turn.thought and not style.think:
        raise MessageError(f"message {index} has a thought to learn but think is False; pass think=True or remove it")
    if turn.results and has_words(turn.content):
        raise MessageError(
            f"message {index} has words beside calls whose results follow: the template moves them behind the results,"
            " where the model would not write them; put them into the thought or into the message after the results"
        )


def render_reply(message: Message, *, tokenizer: Tokenizer, in_thought: bool = False) -> list[int]:
    """The ids that the model would have produced for one assistant message: its parts in their order, word for word.

    Ends in `<turn|>`, or with calls in `<|tool_response>`. `in_thought`: the prompt already opened the first thought.
    `parse` gives the message back if adjacent texts and thoughts are joined and no thought is blank.
    """
    pieces = Pieces()
    for part in message.parts:
        if isinstance(part, Thought) and in_thought:
            pieces.text(part.text + "\n")
            pieces.control("<channel|>")
        elif isinstance(part, Thought):
            write_thought(pieces, part.text)
        elif isinstance(part, ToolCall):
            write_call(pieces, part)
        elif isinstance(part, (Text, Malformed)):
            pieces.text(part.text)
        else:
            raise MessageError(f"a model's reply cannot hold {type(part).__name__}; it holds text, thoughts and calls")
        in_thought = False
    pieces.control("<|tool_response>" if message.tool_calls else "<turn|>")
    return encode((piece._replace(learn=True) for piece in pieces.items), tokenizer)
