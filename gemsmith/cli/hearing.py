"""How a sound is heard piece by piece, and shown: as running words, or as JSON with times. Serves `transcribe.py`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, Any

from gemsmith.chat.values import Event
from gemsmith.cli.doctor.progress import Progress as Line
from gemsmith.cli.events import write_line
from gemsmith.cli.output import MANNER, note, patience, write
from gemsmith.cli.reading import attending
from gemsmith.engine.transcribe import Cut, Segment, cuts, joined, segments, total
from gemsmith.hub.report import duration

if TYPE_CHECKING:
    from gemsmith.cli.attachments import Attachment
    from gemsmith.media.settings import MediaSettings

INTERVAL_S = 10.0  # between two lines of progress where nothing can be redrawn


def pieces(model: Any, attachment: Attachment, settings: MediaSettings) -> tuple[Cut, ...]:
    """The sound, cut at quiet places; what is wrong with it, in the words that were typed."""
    with attending([attachment.part], {attachment.part: attachment.words}):
        return cuts(model, attachment.part.source, settings)


def heard(model: Any, pieces: Sequence[Cut], question: str, asked: Mapping[str, Any]) -> Iterator[Event | Segment]:
    """Words as they come, and a segment behind those of each piece; leaving it stops the model."""
    with patience("hearing"):
        found = segments(model, pieces, question, **asked)
        first = next(found)
    with closing(found):
        yield from chain((first,), found)


class Words:
    """Running words on stdout as they are heard, and behind them the translations."""

    def __init__(self, to: str | None) -> None:
        self.segments: list[Segment] = []
        self._to, self._is_whole = to, False

    def show(self, each: Event | Segment) -> None:
        """Print words."""
        if isinstance(each, Segment):
            self.segments.append(each)
        else:
            write(sys.stdout, each.text)
            self._is_whole |= each.kind == "done"

    def end(self) -> None:
        """Leave the cursor at the start of a line; where hearing was broken off, print the translations so far."""
        translation = "" if self._is_whole else joined(each.translation or "" for each in self.segments)
        write(sys.stdout, f"\n{self._to}: {translation}\n" if translation else "\n")


class Lines:
    """A segment a line as JSON, and last the whole."""

    def __init__(self, to: str | None) -> None:
        self.segments: list[Segment] = []
        self._to, self._start_s = to, time.monotonic()

    def show(self, each: Event | Segment) -> None:
        """Print a segment."""
        if isinstance(each, Segment):
            self.segments.append(each)
            said = self._said(each.text, each.translation)
            times = {"start": round(each.start, 3), "end": round(each.end, 3)}
            write_line({"kind": "segment", **times, **said, "finish_reason": each.finish_reason})

    def end(self) -> None:
        """Print the whole of what was heard."""
        found = self.segments
        said = self._said(joined(each.text for each in found), joined(each.translation or "" for each in found))
        names, usage = ("prompt_tokens", "completion_tokens", "audio_tokens"), total(each.usage for each in found)
        seconds = round(found[-1].end, 3) if found else 0.0
        figures = {"seconds": seconds, "segments": len(found), "usage": {name: getattr(usage, name) for name in names}}
        timings = {"total_s": round(time.monotonic() - self._start_s, 6)}
        write_line({"kind": "done", **said, **figures, "timings": timings})

    def _said(self, text: str, translation: str | None) -> dict[str, str]:
        return {"text": text} | ({"translation": translation or ""} if self._to else {})


class Progress:
    """How far it is, of a sound in several pieces: nothing where words on the same terminal show that themselves."""

    def __init__(self, pieces: Sequence[Cut], *, is_beside_words: bool) -> None:
        self._all_s = pieces[-1].end
        self._line, self._said_s = Line(), time.monotonic()
        self._redraws = sys.stderr.isatty() and not MANNER.spoken
        self._is_silent = len(pieces) == 1 or (is_beside_words and sys.stdout.isatty())
        if len(pieces) > 1:
            note(f"{duration(self._all_s)} of sound, heard in {len(pieces)} pieces")

    def reach(self, seconds: float) -> None:
        """So much has been heard."""
        told = f"heard {duration(seconds)} of {duration(self._all_s)}"
        if self._is_silent or seconds == self._all_s:
            return
        if self._redraws:
            self._line.say(told)
        elif time.monotonic() - self._said_s >= INTERVAL_S:
            self._said_s = time.monotonic()
            note(told)

    def end(self) -> None:
        """Take the line away."""
        self._line.clear()
