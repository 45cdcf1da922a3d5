"""Speech to text, and to text in another language: the prompts the models were taught, and long sounds in cuts.

A model hears at most 30 s at once, so a longer sound is cut at quiet places, each cut is heard by itself, and the texts
are joined. The prompts are those of Gemma 4's model card (ai.google.dev/gemma/docs/core/model_card_4), word for word,
with the sound before the words; without a `language`, "its original language" stands in its place.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
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
    check_senses([Audio(source, "cut")], model.name, model.config, model.tokenizer)
    sounds = _cuts(source, media)
    first = _ask(model, sounds[0], question, media, sampling)  # a bad option, or no room, is told here
    return _events(model, sounds, first, question, to, media, sampling)


def _cuts(source: Any, media: MediaSettings) -> Sequence[Waveform]:
    from gemsmith.media.cut import cut
    from gemsmith.media.sound import sound

    with blaming("sound 1", Audio(source, "cut")):
        whole = sound(source, settings=media)
        return cut(whole, MOST_SECONDS)


def _ask(
    model: Model, sound: Waveform, question: str, media: MediaSettings, sampling: Mapping[str, Any]
) -> Generator[Event]:
    message = Message("user", (Audio(sound.samples), Text(question)))
    return model.stream(message, media=media, **{**GREEDY, **sampling})


def _events(
    model: Model,
    sounds: Sequence[Waveform],
    first: Generator[Event],
    question: str,
    to: str | None,
    media: MediaSettings,
    sampling: Mapping[str, Any],
) -> Generator[Event]:
    stitched, replies = Stitched(to), []
    for number, sound in enumerate(sounds):
        stitched.begin()
        with closing(_ask(model, sound, question, media, sampling) if number else first) as reply:
            for event in reply:
                if event.message is not None:
                    replies.append(event.message)
                elif event.kind in ("text", "error") and (text := stitched.push(event.text)):
                    yield Event("text", text=text)
    for text in stitched.finish():
        yield Event("text", text=text)
    reason: FinishReason = "length" if any(reply.finish_reason == "length" for reply in replies) else "stop"
    yield Event("done", message=Message("assistant", (Text(stitched.text),), _total(replies), reason))


def _total(replies: Sequence[Message]) -> Usage:
    """What all cuts cost together."""
    usages = [reply.usage for reply in replies if reply.usage is not None]
    return Usage(**{name: sum(getattr(usage, name) for usage in usages) for name in Usage.__dataclass_fields__})


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
        whole = ""
        for each in self._translations:
            whole += joint(whole, each) + each
        if whole:
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
