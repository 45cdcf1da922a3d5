"""The Model: messages in, messages and events out.

Puts the rooms below together: chat renders and parses, `senses` prepares what is seen and heard, the runtime executes,
`generate` loops. `loading` makes one.
"""

from __future__ import annotations

import operator
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np

from gemsmith.chat.render import Style, compose
from gemsmith.chat.values import Event, Message, Prompt
from gemsmith.config import GenerationConfig, ModelConfig
from gemsmith.config.fields import shown
from gemsmith.engine.generate.reply import stream_reply
from gemsmith.engine.generate.text import stream_text
from gemsmith.engine.generate.tokens import Token, generate
from gemsmith.engine.sampler import Sampler
from gemsmith.engine.sampling import Sampling
from gemsmith.engine.senses.counting import check_places, picture_sizes, usage_of
from gemsmith.engine.senses.cutting import stretches
from gemsmith.engine.senses.filling import filled
from gemsmith.engine.senses.keeping import KeptSoft
from gemsmith.engine.senses.preparing import prepare
from gemsmith.engine.senses.refusal import check_count, check_senses
from gemsmith.engine.transcribe import stream_transcript
from gemsmith.errors import ContextLengthError, ModelFileError, RequestError
from gemsmith.media.settings import MediaSettings
from gemsmith.runtime.places import Placeholders
from gemsmith.runtime.protocol import Run, Runtime, Soft
from gemsmith.tokenizer import Tokenizer

SAMPLING_DEFAULTS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")  # a generation_config has them
OPEN_THOUGHT = "<|channel>thought\n"
LOGITS_CHUNK = 512  # rows of logits that stand in memory beside the result
UNASKED = MediaSettings()


class Model:
    """A loaded model. Threads may share it; each call has its own sequence."""

    def __init__(
        self,
        name: str,
        config: ModelConfig,
        runtime: Runtime,
        tokenizer: Tokenizer | None,
        generation: GenerationConfig,
        max_context: int,
    ):
        self.name, self.config, self.runtime = name, config, runtime
        self._tokenizer, self.generation, self.max_context = tokenizer, generation, max_context
        self._kept = KeptSoft(lambda media: runtime.encode(media), row_bytes=4 * config.text.hidden_size)

    def __repr__(self) -> str:
        return f"<gemsmith.Model {self.name!r}: {self.max_context:,} tokens of context, {self.runtime.name} runtime>"

    @property
    def tokenizer(self) -> Tokenizer:
        """The checkpoint's tokenizer. ModelFileError if its folder has none: such a model serves for `logits` alone."""
        if self._tokenizer is None:
            raise ModelFileError(
                f"{self.name} has no tokenizer.json, so it can only compute logits of ids; put the checkpoint's"
                " tokenizer.json beside its config.json"
            )
        return self._tokenizer

    def render(
        self,
        messages: Any,
        *,
        tools: Sequence[Any] = (),
        think: bool = False,
        preserve_thinking: bool = False,
        media: MediaSettings = UNASKED,
    ) -> Prompt:
        """The prompt of a conversation: `.ids`, `.media`, and `.text` with its control tokens spelled out.

        `messages` is a string, a Message, an OpenAI-style dictionary, or a list of these. `tools` are functions,
        Pydantic models or JSON-schema dictionaries. Pictures, documents, clips and sounds are read and prepared, within
        the limits of `media`.
        """
        return self._prompt(messages, tools, think, preserve_thinking, media)

    def chat(
        self,
        messages: Any,
        *,
        tools: Sequence[Any] = (),
        think: bool = False,
        preserve_thinking: bool = False,
        media: MediaSettings = UNASKED,
        **sampling: Any,
    ) -> Message:
        """The model's reply: `.text`, `.thought`, `.tool_calls`, `.usage`, `.finish_reason`, `.logprobs`.

        Sampling keywords are those of `engine.sampling.Sampling`: temperature, top_p, top_k, min_p, max_tokens, stop,
        seed, repetition_penalty, presence_penalty, frequency_penalty, logit_bias, logprobs, top_logprobs.
        Raises RequestError (ContextLengthError, SamplingError, MessageError, ToolError, UnsupportedMediaError,
        MediaError).
        """
        options: dict[str, Any] = {"preserve_thinking": preserve_thinking, "media": media, **sampling}
        return _last(self.stream(messages, tools=tools, think=think, **options))

    def stream(
        self,
        messages: Any,
        *,
        tools: Sequence[Any] = (),
        think: bool = False,
        preserve_thinking: bool = False,
        media: MediaSettings = UNASKED,
        **sampling: Any,
    ) -> Generator[Event]:
        """Events of the reply as it is written: kind `text`, `thought`, `tool_call`, `error`, and last `done`.

        Bad requests raise here, before the first event is asked for. Closing the iterator stops the model.
        """
        options = self._options(sampling)
        prompt = self._prompt(messages, tools, think, preserve_thinking, media, limit=self.max_context)
        return stream_reply(
            self._tokens(prompt, options),
            self.tokenizer,
            asked=usage_of(prompt, self.config),
            in_thought=prompt.text.endswith(OPEN_THOUGHT),
            stops=options.stop,
            pictures=picture_sizes(prompt),
        )

    def transcribe(
        self,
        source: Any,
        *,
        language: str | None = None,
        to: str | None = None,
        media: MediaSettings = UNASKED,
        **sampling: Any,
    ) -> Message:
        """What is said in a sound of any length, as `.text`: in `language` ("German"; None for whichever it is), and
        with `to`, behind a newline and `{to}:`, its translation. The likeliest words, unless `temperature` is given.
        """
        return _last(self.stream_transcript(source, language=language, to=to, media=media, **sampling))

    def stream_transcript(self, source: Any, *, media: MediaSettings = UNASKED, **options: Any) -> Generator[Event]:
        """Events `text` as words are heard, and last `done`; translations follow the whole transcription."""
        return stream_transcript(self, source, media=media, **options)

    def complete(self, text: str, **sampling: Any) -> str:
        """A plain continuation of `text`, after exactly one <bos>: what base models do."""
        return "".join(self.stream_complete(text, **sampling))

    def stream_complete(self, text: str, **sampling: Any) -> Generator[str]:
        """The continuation as it is written."""
        if not isinstance(text, str):
            raise RequestError(f"complete continues a string, found {type(text).__name__}")
        self._check_length(1 + self.tokenizer.least_tokens(len(text)), self.max_context)
        ids = (self.config.text.bos_token_id, *self.tokenizer.encode(text))
        options = self._options(sampling)
        return stream_text(self._tokens(ids, options), self.tokenizer, options.stop)

    def logits(self, prompt: Any, *, media: MediaSettings = UNASKED) -> np.ndarray:
        """Logits [T, V], float32, after each token of a prompt, a list of ids, or a message or list of messages."""
        if _are_messages(prompt):
            prompt = self.render(prompt, media=media)
        ids = self._checked_ids(prompt)
        soft, places = self._encoded(prompt), Placeholders.of(self.config)
        logits_TV = np.empty((len(ids), self.config.text.vocab_size), np.float32)
        sequence, done = self.runtime.new(), 0
        try:
            for some, here in stretches(ids, soft, places, LOGITS_CHUNK):
                rows = self.runtime.step([Run(sequence, some, range(len(some)), here)])
                logits_TV[done : done + len(some)] = rows.logits
                done += len(some)
        finally:
            self.runtime.free(sequence)
        return logits_TV

    def _prompt(
        self,
        messages: Any,
        tools: Sequence[Any],
        think: bool,
        preserve_thinking: bool,
        settings: MediaSettings,
        limit: int | None = None,
    ) -> Prompt:
        """The prompt, its media prepared. What the model cannot take is refused before any of them is opened."""
        # Sizes without per-layer embeddings (12B, 26B-A4B, 31B) were taught that an empty thought means "off".
        empty_thought = self.config.text.hidden_size_per_layer_input == 0
        pieces = compose(messages, tools, Style(think, preserve_thinking, empty_thought))
        media = pieces.media
        check_senses(media, self.name, self.config, self.tokenizer)
        check_count(len(media), settings)
        least = pieces.least_tokens(self.tokenizer)
        self._check_length(least, limit)
        if not media:
            return pieces.prompt(self.tokenizer)
        items = prepare(media, self.config, settings, num_text=least, limit=limit)
        pieces = filled(pieces, items, self.config)
        return pieces.prompt(self.tokenizer, [each for some in items for each in some])

    def _encoded(self, prompt: Prompt | Sequence[int]) -> Sequence[Soft]:
        """The soft tokens of a prompt's media."""
        return [self._kept(each) for each in prompt.media] if isinstance(prompt, Prompt) else ()

    def _check_length(self, least: int, limit: int | None) -> None:
        """Refuse what surely does not fit before its megabytes are made tokens, which takes seconds."""
        if limit is not None and least > limit:
            raise ContextLengthError(least, self.max_context, self.config.text.max_position_embeddings, is_least=True)

    def _tokens(self, prompt: Prompt | Sequence[int], options: Sampling) -> Generator[Token]:
        """The reply's tokens, prompt and reply together at most `max_context`. Whatever is wrong raises now."""
        ids = self._checked_ids(prompt)
        return generate(
            self.runtime,
            ids,
            Sampler(options, ids, self.config.text.vocab_size, self._suppressed()),
            stop_ids=frozenset(self.generation.eos_token_ids),
            room=min(self.max_context - len(ids), options.max_tokens or self.max_context),
            encoded=lambda: self._encoded(prompt),
        )

    def _checked_ids(self, prompt: Prompt | Sequence[int]) -> Sequence[int]:
        """Ids that this model can read, or a RequestError."""
        size = self.config.text.num_readable_ids
        try:
            ids = [operator.index(id) for id in (prompt.ids if isinstance(prompt, Prompt) else prompt)]
        except TypeError:
            raise RequestError(
                f"a prompt must be a Prompt or a list of token ids, found {shown(prompt)}; make one with"
                " model.render, or ids of a plain text with model.tokenizer.encode"
            ) from None
        if not ids or not all(0 <= id < size for id in ids):
            found = next((shown(id) for id in ids if not 0 <= id < size), "no ids at all")
            raise RequestError(f"a prompt must be token ids from 0 to {size - 1}, found {found}")
        if len(ids) > self.max_context:
            raise ContextLengthError(len(ids), self.max_context, self.config.text.max_position_embeddings)
        check_places(ids, prompt.media if isinstance(prompt, Prompt) else (), self.config)
        return ids

    def _suppressed(self) -> tuple[int, ...]:
        """Ids the checkpoint forbids, those that stand for media, which nobody can show here, and rows of the head that
        no token, or no row of another table, stands behind."""
        text, places = self.config.text, Placeholders.of(self.config)
        unused = range(min(self.tokenizer.vocab_size, text.num_readable_ids), text.vocab_size)
        return (*self.generation.suppress_tokens, *places.vision, *places.audio, *unused)

    def _options(self, sampling: Mapping[str, Any]) -> Sampling:
        """What the caller asked for, over the checkpoint's generation_config."""
        defaults = {name: getattr(self.generation, name) for name in SAMPLING_DEFAULTS}
        if not self.generation.do_sample:
            defaults["temperature"] = 0.0
        return Sampling.of(defaults | {name: value for name, value in sampling.items() if value is not None})


def _last(events: Generator[Event]) -> Message:
    """The message that a stream ends with."""
    message = None
    for event in events:
        message = event.message or message
    assert message is not None
    return message


def _are_messages(prompt: Any) -> bool:
    """Whether this is a conversation, and not ids; strings alone could be meant as plain text, and are none."""
    parts = prompt if isinstance(prompt, (list, tuple)) else [prompt]
    return any(isinstance(part, (Message, Mapping)) for part in parts)
