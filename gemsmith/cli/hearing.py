"""The pieces of a sound, what is heard in each, and how that is shown: as running words, or as JSON with times.

Serves `transcribe.py`. Pieces are heard one by one, so that each has its times, and a person sees how far it is.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gemsmith.chat.values import Message, Usage
from gemsmith.cli.doctor.progress import Progress as Line
from gemsmith.cli.events import write_line
from gemsmith.cli.output import MANNER, note, patience, write
from gemsmith.cli.reading import attending
from gemsmith.engine.transcribe import Stitched, joint
from gemsmith.hub.report import duration

if TYPE_CHECKING:
    from gemsmith.cli.attachments import Attachment
    from gemsmith.media.settings import MediaSettings

INTERVAL_S = 10.0  # between two lines of progress where nothing can be redrawn


@dataclass(frozen=True)
class Piece:
    """A part of a sound that is heard at once: when it begins and ends, in seconds, and its samples [n]."""

    start: float
    end: float
    samples: Any = field(repr=False)


@dataclass(frozen=True)
class Segment:
    """What was said in one piece, and its translation where one was asked for."""

    text: str
    translation: str | None
    finish_reason: str | None
    usage: Usage


def pieces(model: Any, attachment: Attachment, settings: MediaSettings | None) -> list[Piece]:
    """The sound, cut at quiet places. A model that does not hear refuses before the file is decoded."""
    from gemsmith.engine.senses.preparing import MOST_SECONDS
    from gemsmith.engine.senses.refusal import check_senses
    from gemsmith.media.cut import cut, starts
    from gemsmith.media.settings import MediaSettings
    from gemsmith.media.sound import sound

    part = attachment.part
    with attending([part], {part: attachment.words}):
        check_senses([part], model.name, model.config, model.tokenizer)
        found = cut(sound(part.source, settings=settings or MediaSettings()), MOST_SECONDS)
    begins = starts(found)
    return [Piece(start, start + each.seconds, each.samples) for start, each in zip(begins, found, strict=True)]


def segment(model: Any, piece: Piece, asked: Mapping[str, Any], heard: Callable[[str], None]) -> Segment:
    """What is said in a piece; `heard` is given the words as they come."""
    message: Message | None = None
    with closing(model.stream_transcript(piece.samples, **asked)) as events:
        with patience("hearing") if not piece.start else nullcontext():
            event = next(events, None)
        while event is not None:
            if event.kind in ("text", "error"):
                heard(event.text)
            message = event.message or message
            event = next(events, None)
    assert message is not None and message.usage is not None
    text, _, rest = message.text.partition("\n")
    to = asked.get("to")
    translation = rest.strip().removeprefix(f"{to}:").strip() if to else None
    return Segment(text if to else message.text, translation, message.finish_reason, message.usage)


class Words:
    """Running words on stdout as they are heard, and behind them the translations."""

    def __init__(self, to: str | None) -> None:
        self.segments: list[Segment] = []
        self._stitched = Stitched(to)
        self._is_new = True

    def push(self, text: str) -> None:
        """Print what can be shown now."""
        if self._is_new:
            self._stitched.begin()
            self._is_new = False
        write(sys.stdout, self._stitched.push(text))

    def show(self, piece: Piece, segment: Segment) -> None:
        """A piece has ended; its words are printed."""
        self.segments.append(segment)
        self._is_new = True

    def end(self) -> None:
        """Print the translations; leave the cursor at the start of a line."""
        for text in self._stitched.finish():
            write(sys.stdout, text)
        write(sys.stdout, "\n")


class Lines:
    """A segment a line as JSON, and last the whole."""

    def __init__(self, to: str | None) -> None:
        self.segments: list[Segment] = []
        self._to, self._end, self._start_s = to, 0.0, time.monotonic()

    def push(self, text: str) -> None:
        """Words are printed when their segment has ended."""

    def show(self, piece: Piece, segment: Segment) -> None:
        """Print a segment."""
        self.segments.append(segment)
        self._end = piece.end
        said = self._said(segment.text, segment.translation)
        times = {"start": round(piece.start, 3), "end": round(piece.end, 3)}
        write_line({"kind": "segment", **times, **said, "finish_reason": segment.finish_reason})

    def end(self) -> None:
        """Print the whole of what was heard."""
        text, translation = _joined([each.text for each in self.segments]), None
        if self._to:
            translation = _joined([each.translation or "" for each in self.segments])
        names = ("prompt_tokens", "completion_tokens", "audio_tokens")
        usage = {name: sum(getattr(each.usage, name) for each in self.segments) for name in names}
        figures = {"seconds": round(self._end, 3), "segments": len(self.segments), "usage": usage}
        timings = {"total_s": round(time.monotonic() - self._start_s, 6)}
        write_line({"kind": "done", **self._said(text, translation), **figures, "timings": timings})

    def _said(self, text: str, translation: str | None) -> dict[str, str]:
        return {"text": text} | ({} if translation is None else {"translation": translation})


def _joined(texts: Sequence[str]) -> str:
    whole = ""
    for text in filter(None, map(str.strip, texts)):
        whole += joint(whole, text) + text
    return whole


class Progress:
    """How far it is, of a sound in several pieces: nothing where words on the same terminal show that themselves."""

    def __init__(self, pieces: Sequence[Piece], *, is_beside_words: bool) -> None:
        self._all_s = pieces[-1].end
        self._line, self._said_s = Line(), time.monotonic()
        self._redraws = sys.stderr.isatty() and not MANNER.spoken
        self._is_silent = len(pieces) == 1 or (is_beside_words and sys.stdout.isatty())
        if len(pieces) > 1:
            note(f"{duration(self._all_s)} of sound, heard in {len(pieces)} pieces")

    def begin(self, piece: Piece) -> None:
        """The next piece is about to be heard."""
        told = f"heard {duration(piece.start)} of {duration(self._all_s)}"
        if self._is_silent:
            return
        if self._redraws:
            self._line.say(told)
        elif time.monotonic() - self._said_s >= INTERVAL_S:
            self._said_s = time.monotonic()
            note(told)

    def end(self) -> None:
        """Take the line away."""
        self._line.clear()
