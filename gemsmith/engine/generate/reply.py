"""Tokens to the events of one reply: the parser's, with stop strings applied, and the whole message at the end."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from gemsmith.chat.parse import Parser
from gemsmith.chat.values import Event, FinishReason, Message, Part, Text, TokenLogprob, ToolCall, Usage
from gemsmith.engine.generate.stop import StopStrings
from gemsmith.engine.generate.tokens import Token
from gemsmith.tokenizer import Tokenizer


def stream_reply(
    tokens: Generator[Token],
    tokenizer: Tokenizer,
    *,
    asked: Usage,
    in_thought: bool,
    stops: Sequence[str],
    pictures: tuple[tuple[int, int], ...] | None = None,
) -> Generator[Event]:
    """Events in the order things become visible, last `done`. Stop strings look at the answer, not at thoughts.

    `asked` is what the prompt costs, `pictures` are the sizes of those in it.
    """
    parser, filter_ = Parser(tokenizer, in_thought=in_thought), StopStrings(stops)
    drawn: list[Token] = []
    with closing(tokens):
        for token in tokens:
            drawn.append(token)
            if token.finish != "stop" or token.id in tokenizer.control_ids:  # a word that is a stop id is not shown
                yield from _filtered(parser.push(token.id), filter_)
            if filter_.found or parser.state == "ended":  # a turn that ended has, be its end a stop id or not
                break
    *events, done = parser.finish(_finish_reason(drawn, filter_.found or parser.state == "ended"))
    yield from _filtered(events, filter_)
    yield from _text_event(filter_.flush())
    assert done.message is not None
    message = _cut(done.message, filter_.num_shown) if filter_.found else done.message
    usage = replace(asked, completion_tokens=len(drawn), thought_tokens=parser.num_thought_tokens)
    message = replace(message, usage=usage, logprobs=_logprobs(drawn, tokenizer), pictures=pictures)
    yield Event("done", message=message)


def _finish_reason(drawn: Sequence[Token], has_ended: bool) -> FinishReason:
    """`length` also where the prompt left room for no token at all."""
    return "stop" if has_ended or (drawn and drawn[-1].finish == "stop") else "length"


def _filtered(events: Sequence[Event], filter_: StopStrings) -> Iterator[Event]:
    for event in events:
        if filter_.found:
            return
        if event.kind == "text":
            yield from _text_event(filter_.push(event.text))
        else:
            yield from _text_event(filter_.flush())  # a stop string does not reach across a thought or a call
            yield event


def _text_event(text: str) -> Iterator[Event]:
    if text:
        yield Event("text", text=text)


def _cut(message: Message, num_characters: int) -> Message:
    """The message that a stop string ended: the first characters of its answer, and nothing that follows them."""
    parts = truncated(message.parts, num_characters)
    has_calls = any(isinstance(part, ToolCall) for part in parts)
    return replace(message, parts=parts, finish_reason="tool_calls" if has_calls else "stop")


def truncated(parts: Sequence[Part], num_characters: int) -> tuple[Part, ...]:
    """Parts up to the answer's first `num_characters` characters; nothing that follows them."""
    kept: list[Part] = []
    for part in parts:
        if not isinstance(part, Text):
            kept.append(part)
            continue
        if len(part.text) > num_characters:
            return (*kept, Text(part.text[:num_characters])) if num_characters else tuple(kept)
        kept.append(part)
        num_characters -= len(part.text)
    return tuple(kept)


def _logprobs(tokens: list[Token], tokenizer: Tokenizer) -> tuple[TokenLogprob, ...] | None:
    if not any(token.logprob is not None for token in tokens):
        return None

    def text(id: int) -> str:
        return tokenizer.decode([id], control=True)

    return tuple(
        TokenLogprob(t.id, text(t.id), t.logprob or 0.0, tuple((id, text(id), logprob) for id, logprob in t.top))
        for t in tokens
    )
