"""What stands in a prompt where media are: their spans of control tokens, as Gemma 4 was taught them.

A picture is `<|image>`, as many `<|image|>` as it has soft tokens, and `<image|>`; pages are pictures that follow one
another. A sound is likewise. Each frame of a clip is a picture of `<|video|>` behind the time it was shown, frames are
joined by one space, and the sound track follows the last of them, where transformers' processor puts the audio part
that it wants behind a video part. Times and spaces are content: they are encoded as one with the text around them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gemsmith.chat.pieces import Piece

Span = list[Piece]


def picture_span(num_tokens: int, soft: str = "<|image|>") -> Span:
    """One picture, page or frame."""
    return [Piece("<|image>", True), *[Piece(soft, True)] * num_tokens, Piece("<image|>", True)]


def sound_span(num_tokens: int) -> Span:
    """One sound of at most 30 s."""
    return [Piece("<|audio>", True), *[Piece("<|audio|>", True)] * num_tokens, Piece("<audio|>", True)]


def frames_span(num_tokens: int, seconds: Sequence[float]) -> Span:
    """The frames of a clip, each of `num_tokens`, and when they were shown."""
    span: Span = []
    for at, second in enumerate(seconds):
        span.append(Piece(" " * (at > 0) + f"{clock(second)} ", False))
        span += picture_span(num_tokens, "<|video|>")
    return span


def clock(seconds: float) -> str:
    """Minutes and seconds, whole ones that have passed: 61.9 is 01:01, an hour is 60:00."""
    return f"{int(seconds // 60):02d}:{int(seconds % 60):02d}"


def joined(spans: Iterable[Span]) -> Span:
    """Spans that follow one another with nothing between."""
    return [piece for span in spans for piece in span]
