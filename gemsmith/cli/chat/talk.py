"""Asks a model and keeps the conversation. Prints answers by `show`, and knows nothing of lines or keys.

`Talk` is a conversation; `Continuations` is raw text, where every line is continued as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from gemsmith.chat.values import (
    Audio,
    Document,
    Event,
    Image,
    Media,
    Message,
    Prompt,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from gemsmith.cli.chat.conversation import Conversation
from gemsmith.cli.chat.heard import Figures, Heard
from gemsmith.cli.output import note
from gemsmith.cli.reading import attending, media_of
from gemsmith.errors import ContextLengthError

if TYPE_CHECKING:
    from gemsmith.media.settings import MediaSettings

Show = Callable[[Heard], Message | None]
Results = Callable[[ToolCall], Any]  # what a tool answered, or None for nothing


class Model(Protocol):
    """What a conversation needs of a model."""

    name: str
    max_context: int

    def stream(self, messages: Any, *, think: bool = False, **options: Any) -> Iterable[Event]:
        """The events of a reply."""

    def render(self, messages: Any, *, tools: Sequence[Any] = (), think: bool = False) -> Prompt:
        """What the model would read."""


class Talk:
    """Questions and answers. When they no longer fit the context, the oldest are forgotten, and the person is told."""

    def __init__(
        self,
        model: Model,
        conversation: Conversation,
        *,
        show: Show,
        sampling: dict[str, Any] | None = None,
        results: Results | None = None,
        keep: Callable[[Conversation], object] = lambda conversation: None,
        interruptible: Callable[[], AbstractContextManager[None]] = nullcontext,
        settings: MediaSettings | None = None,
    ) -> None:
        self.model, self.conversation, self.sampling = model, conversation, dict(sampling or {})
        self.settings, self.interruptible = settings, interruptible
        self._show, self._results, self._keep = show, results, keep
        self.documents: list[str] = []  # what goes before the next question
        self.media: list[Media] = []
        self.words: dict[Media, str] = {}  # how some of it was asked for
        self.figures: Figures | None = None
        self._asked: Message | None = None  # also where the answer was stopped before a word
        self._num_retries = 0
        self._measured: int | None = None

    def ask(self, text: str, media: Sequence[Media] = ()) -> None:
        """Print the answer to `text`, and remember both. What waits, and `media`, goes before it."""
        self._num_retries = 0
        length = len(self.conversation.messages)
        try:
            self._turn(Message("user", (*self.media, *media, Text("\n\n".join([*self.documents, text])))))
        finally:
            if len(self.conversation.messages) > length:
                self.documents.clear()
                self.media.clear()

    def retry(self) -> bool:
        """Ask the last question again; False if nothing was asked. If it fails, what was said before stays."""
        before, forgotten = list(self.conversation.messages), self.conversation.forgotten
        question = self._asked
        if question is None or any(message is question for message in before):
            taken = self.conversation.take_back()
            question = taken[0] if taken else None
        if question is None:
            return False
        self._num_retries += 1
        length = len(self.conversation.messages)
        try:
            self._turn(question)
        finally:
            if len(self.conversation.messages) == length:
                self.conversation.messages, self.conversation.forgotten = before, forgotten
        return True

    def clear(self) -> None:
        """Begin anew; the system's words stay."""
        self.conversation.clear()
        self.documents.clear()
        self.media.clear()
        self._asked = None
        self.changed()

    def take_over(self, conversation: Conversation) -> None:
        """Go on with another conversation."""
        self.clear()
        self.conversation = conversation

    def count(self, num_tokens: int | None) -> None:
        """The conversation has so many tokens, as somebody counted who looked at its media; None if nobody did."""
        self._measured = num_tokens

    def changed(self) -> None:
        """The conversation is another than a moment ago."""
        self.figures = self._measured = None

    def context_used(self) -> int:
        """Tokens of the conversation: as the last answer counted them, else counted now.

        What is seen and heard then counts as in the last answer: a figure is no reason to decode it all again.
        """
        if self._measured is None:
            seen = self.conversation.seen()
            usage = next((message.usage for message in reversed(seen) if message.usage), None)
            soft = usage.image_tokens + usage.video_tokens + usage.audio_tokens if usage else 0
            options: dict[str, Any] = {"tools": self.conversation.tools, "think": self.conversation.think}
            self._measured = soft + len(self.model.render(in_words(seen), **options).ids) if seen else 0
        return self._measured

    def _turn(self, question: Message) -> None:
        """A question, the answer, and while that calls tools, their results and the next answer."""
        turn = [question]
        self._asked = question
        try:
            with self.interruptible():
                while self._reply(turn) and (results := self._called(turn[-1].tool_calls)):
                    turn.append(results)
                    if not any(is_given(result) for result in results.parts):
                        break
        finally:
            if turn[-1].tool_calls and self._results is not None:  # Ctrl-C: a call without a result has no end
                turn.append(self._answered(turn[-1].tool_calls, lambda call: None))
            if len(turn) > 1:
                self.conversation.messages += turn
                self._keep(self.conversation)

    def _reply(self, turn: list[Message]) -> bool:
        """Add the next answer to the turn. One that is stopped is kept as far as it came."""
        heard = self._heard(turn)
        self.changed()
        try:
            message = self._show(heard)
        except BaseException:
            if said := heard.so_far():
                turn.append(said)
            raise
        if message is None:
            message = heard.so_far()
        if message is not None:
            turn.append(message)
        self.figures = heard.figures()
        self._measured = message.usage.total_tokens if message and message.usage else None
        return message is not None

    def _heard(self, turn: Sequence[Message]) -> Heard:
        """The reply as it comes; the oldest questions are forgotten until there is room."""
        while True:
            seen = self.conversation.seen(turn)
            waiting = partial(attending, media_of(seen), self.words)
            try:
                return Heard(partial(self.model.stream, seen, **self._options()), waiting=waiting)
            except ContextLengthError:
                if not self.conversation.forget_oldest():
                    raise
                note("the conversation no longer fits: forgot the oldest question and its answer")

    def _options(self) -> dict[str, Any]:
        """The keywords for `model.stream`. A retry with a seed takes the next one."""
        sampling = dict(self.sampling)
        if "seed" in sampling:
            sampling["seed"] += self._num_retries
        tools = {"tools": self.conversation.tools} if self.conversation.tools else {}
        media = {"media": self.settings} if self.settings else {}
        return {"think": self.conversation.think, **tools, **media, **sampling}

    def _called(self, calls: Sequence[ToolCall]) -> Message | None:
        """What the tools answered that the model called; None where nobody answers for them."""
        return self._answered(calls, self._results) if calls and self._results is not None else None

    @staticmethod
    def _answered(calls: Sequence[ToolCall], results: Results) -> Message:
        answers = [(call, results(call)) for call in calls]
        given = (ToolResult(NO_RESULT if answer is None else answer, call.name, call.id) for call, answer in answers)
        return Message("tool", tuple(given))


def in_words(messages: Sequence[Message]) -> list[Message]:
    """The messages without what is seen and heard."""
    senses = (Image, Document, Audio, Video)
    return [
        replace(message, parts=tuple(part for part in message.parts if not isinstance(part, senses)))
        for message in messages
    ]


NO_RESULT = {"error": "no result"}


def is_given(result: Any) -> bool:
    """Whether a person gave this result, and did not skip it."""
    return result.content is not NO_RESULT


class Continuations:
    """Raw text: every line is continued as it stands, and nothing is remembered."""

    def __init__(self, complete: Callable[..., Iterable[str]], show: Callable[[Iterable[str]], None], **sampling: Any):
        self._complete, self._show, self.sampling = complete, show, sampling
        self.words: dict[Media, str] = {}

    def ask(self, text: str, media: Sequence[Media] = ()) -> None:
        """Print what follows `text`; raw text has no media."""
        self._show(self._complete(text, **self.sampling))

    def clear(self) -> None:
        """There is nothing to forget."""
