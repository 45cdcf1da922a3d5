"""Plain continuation: tokens to text, with no turns, thoughts or calls. For base models and for `--raw`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing

from gemsmith.engine.generate.stop import StopStrings
from gemsmith.engine.generate.tokens import Token
from gemsmith.tokenizer import StreamDecoder, Tokenizer


def stream_text(tokens: Generator[Token], tokenizer: Tokenizer, stops: Sequence[str]) -> Generator[str]:
    """Text as it becomes complete; never part of a character and never part of a stop string."""
    decoder, filter_ = StreamDecoder(tokenizer), StopStrings(stops)
    with closing(tokens):
        for token in tokens:
            if token.finish != "stop" and (text := filter_.push(decoder.push(token.id))):
                yield text
            if filter_.found:
                return
    if rest := filter_.push(decoder.finish()) + filter_.flush():
        yield rest
