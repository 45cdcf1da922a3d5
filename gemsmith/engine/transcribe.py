"""Speech to text, and to text in another language: the prompts the models were taught, and long sounds in cuts.

A model hears at most 30 s at once, so a longer sound is cut at quiet places, each cut is heard by itself, and the texts
are joined. The prompts are those of Gemma 4's model card (ai.google.dev/gemma/docs/core/model_card_4), word for word,
with the sound before the words; without a `language`, "its original language" stands in its place.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gemsmith.chat.values import Audio, Event, FinishReason, Message, Text, Usage
from gemsmith.engine.senses.names import blaming
from gemsmith.engine.senses.preparing import MOST_SECONDS
from gemsmith.engine.senses.refusal import check_senses
from gemsmith.errors import RequestError
from gemsmith.media.prepared import Waveform
from gemsmith.media.settings import MediaSettings

if TYPE_CHECKING:
    from gemsmith.engine.model import Model

RULES = (
    "Follow these specific instructions for formatting the answer:\n"
    "* Only output the transcription, with no newlines.\n"
    "* When transcribing numbers, write the digits, i.e. write 1.7 and not one point seven, and write 3 instead of"
    " three."
)
GREEDY: Mapping[str, Any] = {"temperature": 0.0}
MAX_NAME = 100


def prompt_for(language: str | None, to: str | None) -> str:
    """What to ask of a sound in `language` (None: whichever it is), and of its translation into `to`."""
    for name in (language, to):
        if name is not None and (not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME or "\n" in name):
            raise RequestError(f"a language is named by a word such as German, found {name!r:.60}")
    spoken = language or "its original language"
    if to is None:
        form = f" into {language} text" if language else ""
        return f"Transcribe the following speech segment in {spoken}{form}.\n\n{RULES}"
    return (
        f"Transcribe the following speech segment in {spoken}, then translate it into {to}.\n"
        f"When formatting the answer, first output the transcription in {spoken}, then one newline, then output the"
        f" string '{to}: ', then the translation in {to}."
    )


@dataclass(frozen=True)
class Cut:
    """A part of a sound that is heard at once: when it begins and ends, in seconds of the whole."""

    start: float
    end: float
    sound: Waveform = field(repr=False)


@dataclass(frozen=True)
class Segment:
    """What was said in one cut, and its translation where one was asked for."""

    start: float
    end: float
    text: str
    translation: str | None
    finish_reason: FinishReason | None
    usage: Usage


def stream_transcript(
    model: Model,
    source: Any,
    *,
    language: str | None = None,
    to: str | None = None,
    media: MediaSettings,
    **sampling: Any,
) -> Generator[Event]:
    """Events `text` as words are heard, then `done` with the whole message. What is wrong raises now."""
    question = prompt_for(language, to)
    return _events(segments(model, cuts(model, source, media), question, to=to, media=media, **sampling))


def _events(heard: Generator[Event | Segment]) -> Generator[Event]:
    with closing(heard):
        for each in heard:
            if isinstance(each, Event):
                yield each


def cuts(model: Model, source: Any, media: MediaSettings) -> tuple[Cut, ...]:
    """The sound, cut at quiet places. A model that does not hear refuses before anything is opened."""
    part = Audio(source, "cut")
    check_senses([part], model.name, model.config, model.tokenizer)
    from gemsmith.media.cut import cut, starts
    from gemsmith.media.sound import sound

    with blaming("sound 1", part):
        sounds = cut(sound(source, settings=media), MOST_SECONDS)
    begins = starts(sounds)
    return tuple(Cut(start, start + each.seconds, each) for start, each in zip(begins, sounds, strict=True))


def segments(
    model: Model, cuts: Sequence[Cut], question: str, *, to: str | None, media: MediaSettings, **sampling: Any
) -> Generator[Event | Segment]:
    """The events of the whole, and a `Segment` behind the last word of each cut. What is wrong raises now."""
    first = _ask(model, cuts[0].sound, question, media, sampling)  # a bad option, or no room, is told here
    return _heard(model, cuts, first, question, to, media, sampling)


def _ask(
    model: Model, sound: Waveform, question: str, media: MediaSettings, sampling: Mapping[str, Any]
) -> Generator[Event]:
    message = Message("user", (Audio(sound.samples), Text(question)))
    return model.stream(message, media=media, **{**GREEDY, **sampling})


def _heard(
    model: Model,
    cuts: Sequence[Cut],
    first: Generator[Event],
    question: str,
    to: str | None,
    media: MediaSettings,
    sampling: Mapping[str, Any],
) -> Generator[Event | Segment]:
    stitched, found = Stitched(to), []
    for number, cut in enumerate(cuts):
        stitched.begin()
        with closing(_ask(model, cut.sound, question, media, sampling) if number else first) as reply:
            for event in reply:
                if event.message is not None:
                    found.append(_segment(cut, event.message, to))
                elif event.kind in ("text", "error") and (text := stitched.push(event.text)):
                    yield Event("text", text=text)
        yield found[-1]
    for text in stitched.finish():
        yield Event("text", text=text)
    reason: FinishReason = "length" if any(each.finish_reason == "length" for each in found) else "stop"
    usage = total(each.usage for each in found)
    yield Event("done", message=Message("assistant", (Text(stitched.text),), usage, reason))


def _segment(cut: Cut, reply: Message, to: str | None) -> Segment:
    text, translation = reply.text.strip(), None
    if to is not None:
        text, _, rest = text.partition("\n")
        translation = rest.strip().removeprefix(f"{to}:").strip()
    assert reply.usage is not None, "an answer that has ended counts its tokens"
    return Segment(cut.start, cut.end, text.strip(), translation, reply.finish_reason, reply.usage)


def total(usages: Iterable[Usage]) -> Usage:
    """What several answers cost together."""
    counted = list(usages)
    return Usage(**{name: sum(getattr(each, name) for each in counted) for name in Usage.__dataclass_fields__})


def joined(texts: Iterable[str]) -> str:
    """Several texts as one."""
    whole = ""
    for text in filter(None, map(str.strip, texts)):
        whole += joint(whole, text) + text
    return whole


class Stitched:
    """The text of several cuts as one: transcriptions as they come, then the translations behind `{to}: `."""

    def __init__(self, to: str | None):
        self.text = ""  # all that was let through
        self._to = to
        self._translations: list[str] = []
        self._held = ""  # white space that may be the end of a cut
        self._is_new = True
        self._line: str | None = None  # the translation of this cut, once its transcription has ended

    def begin(self) -> None:
        """Another cut."""
        self._end_translation()
        self._held, self._is_new = "", True

    def push(self, text: str) -> str:
        """What more of this cut's text can be shown now."""
        if self._line is not None:
            self._line += text
            return ""
        text = self._held + text
        if self._is_new:
            text = text.lstrip()
        if self._to is not None and "\n" in text:
            text, _, self._line = text.partition("\n")
        shown = text.rstrip()
        self._held = "" if self._line is not None else text[len(shown) :]
        if shown and self._is_new:
            shown, self._is_new = joint(self.text, shown) + shown, False
        self.text += shown
        return shown

    def finish(self) -> Iterator[str]:
        """The translations, if any were made."""
        self._end_translation()
        if whole := joined(self._translations):
            shown = f"\n{self._to}: {whole}" if self.text else f"{self._to}: {whole}"
            self.text += shown
            yield shown

    def _end_translation(self) -> None:
        if self._line is not None and (line := self._line.strip().removeprefix(f"{self._to}:").strip()):
            self._translations.append(line)
        self._line = None


def joint(left: str, right: str) -> str:
    """What stands between two texts: a space, except in scripts that are written without."""
    if not left or not right or left[-1].isspace() or right[0].isspace():
        return ""
    return "" if _is_spaceless(left[-1]) and _is_spaceless(right[0]) else " "


def _is_spaceless(character: str) -> bool:
    """Chinese, Japanese and their punctuation; Thai, Lao, Khmer and Burmese. Korean is written with spaces."""
    name = unicodedata.name(character, "")
    if name.startswith("HANGUL"):
        return False
    return unicodedata.east_asian_width(character) in "WF" or name.startswith(("THAI ", "LAO ", "KHMER ", "MYANMAR "))
