"""Prepared media to the spans that stand in the prompt for them (see `chat.spans`)."""

from __future__ import annotations

from collections.abc import Sequence

from gemsmith.chat.pieces import Pieces
from gemsmith.chat.spans import Span, frames_span, joined, picture_span, sound_span
from gemsmith.config import ModelConfig
from gemsmith.engine.senses.counting import num_soft_tokens
from gemsmith.media.prepared import Frames, Prepared, Waveform


def filled(pieces: Pieces, prepared: Sequence[Sequence[Prepared]], config: ModelConfig) -> Pieces:
    """The pieces of a prompt with a span in each placeholder's place."""
    return pieces.filled([joined(span_of(item, config) for item in items) for items in prepared])


def span_of(item: Prepared, config: ModelConfig) -> Span:
    """The span of one picture, clip or sound."""
    num_tokens = num_soft_tokens(item, config)
    if isinstance(item, Waveform):
        return sound_span(num_tokens)
    if isinstance(item, Frames):
        return frames_span(num_tokens // len(item.rgb), item.seconds)
    return picture_span(num_tokens)
