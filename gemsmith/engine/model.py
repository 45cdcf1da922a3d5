"""`gemsmith.load` and the Model it returns: messages in, messages and events out.

Puts the rooms below together: hub finds, formats opens, runtime executes, chat renders and parses, `generate` loops.
"""

from __future__ import annotations

import operator
import os
import warnings
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np

from gemsmith.chat.pieces import Pieces
from gemsmith.chat.render import Style, compose
from gemsmith.chat.template import template_warning
from gemsmith.chat.values import Event, Message, Prompt
from gemsmith.config import GenerationConfig, ModelConfig, preset
from gemsmith.config.fields import shown
from gemsmith.engine.generate.reply import stream_reply
from gemsmith.engine.generate.text import stream_text
from gemsmith.engine.generate.tokens import Token, generate
from gemsmith.engine.sampler import Sampler
from gemsmith.engine.sampling import Sampling
from gemsmith.errors import ContextLengthError, GemsmithError, ModelFileError, RequestError, UnsupportedMediaError
from gemsmith.formats.checkpoint import Checkpoint, open_checkpoint
from gemsmith.hub.fetch import fetched
from gemsmith.hub.names import DEFAULT_TOKENIZER, resolve
from gemsmith.runtime.plan import admitted_context
from gemsmith.runtime.probe import total_memory
from gemsmith.runtime.protocol import Run, Runtime
from gemsmith.runtime.select import open_runtime
from gemsmith.tokenizer import Tokenizer, load_tokenizer

SAMPLING_DEFAULTS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")  # a generation_config has them
OPEN_THOUGHT = "<|channel>thought\n"
LOGITS_CHUNK = 512  # rows of logits that stand in memory beside the result


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
        self, messages: Any, *, tools: Sequence[Any] = (), think: bool = False, preserve_thinking: bool = False
    ) -> Prompt:
        """The prompt of a conversation: `.ids`, `.media`, and `.text` with its control tokens spelled out.

        `messages` is a string, a Message, an OpenAI-style dictionary, or a list of these. `tools` are functions,
        Pydantic models or JSON-schema dictionaries.
        """
        return self._composed(messages, tools, think, preserve_thinking).prompt(self.tokenizer)

    def chat(
        self,
        messages: Any,
        *,
        tools: Sequence[Any] = (),
        think: bool = False,
        preserve_thinking: bool = False,
        **sampling: Any,
    ) -> Message:
        """The model's reply: `.text`, `.thought`, `.tool_calls`, `.usage`, `.finish_reason`, `.logprobs`.

        Sampling keywords are those of `engine.sampling.Sampling`: temperature, top_p, top_k, min_p, max_tokens, stop,
        seed, repetition_penalty, presence_penalty, frequency_penalty, logit_bias, logprobs, top_logprobs.
        Raises RequestError (ContextLengthError, SamplingError, MessageError, ToolError, UnsupportedMediaError).
        """
        message = None
        reply = self.stream(messages, tools=tools, think=think, preserve_thinking=preserve_thinking, **sampling)
        for event in reply:
            message = event.message or message
        assert message is not None
        return message

    def stream(
        self,
        messages: Any,
        *,
        tools: Sequence[Any] = (),
        think: bool = False,
        preserve_thinking: bool = False,
        **sampling: Any,
    ) -> Generator[Event]:
        """Events of the reply as it is written: kind `text`, `thought`, `tool_call`, `error`, and last `done`.

        Bad requests raise here, before the first event is asked for. Closing the iterator stops the model.
        """
        pieces = self._composed(messages, tools, think, preserve_thinking)
        self._check_length(pieces.least_tokens(self.tokenizer))
        prompt = pieces.prompt(self.tokenizer)
        options = self._options(sampling)
        tokens = self._tokens(prompt, options)
        return stream_reply(
            tokens,
            self.tokenizer,
            num_prompt_tokens=len(prompt.ids),
            in_thought=prompt.text.endswith(OPEN_THOUGHT),
            stops=options.stop,
        )

    def complete(self, text: str, **sampling: Any) -> str:
        """A plain continuation of `text`, after exactly one <bos>: what base models do."""
        return "".join(self.stream_complete(text, **sampling))

    def stream_complete(self, text: str, **sampling: Any) -> Generator[str]:
        """The continuation as it is written."""
        if not isinstance(text, str):
            raise RequestError(f"complete continues a string, found {type(text).__name__}")
        self._check_length(1 + self.tokenizer.least_tokens(len(text)))
        ids = (self.config.text.bos_token_id, *self.tokenizer.encode(text))
        options = self._options(sampling)
        return stream_text(self._tokens(ids, options), self.tokenizer, options.stop)

    def logits(self, prompt: Prompt | Sequence[int]) -> np.ndarray:
        """Logits [T, V], float32, after each token of a prompt or list of ids."""
        ids = self._checked_ids(prompt)
        sequence = self.runtime.new()
        try:
            chunks = [ids[i : i + LOGITS_CHUNK] for i in range(0, len(ids), LOGITS_CHUNK)]
            parts = [self.runtime.step([Run(sequence, chunk, range(len(chunk)))]).logits for chunk in chunks]
        finally:
            self.runtime.free(sequence)
        return np.concatenate(parts)

    def _composed(self, messages: Any, tools: Sequence[Any], think: bool, preserve_thinking: bool) -> Pieces:
        # Sizes without per-layer embeddings (12B, 26B-A4B, 31B) were taught that an empty thought means "off".
        empty_thought = self.config.text.hidden_size_per_layer_input == 0
        return compose(messages, tools, Style(think, preserve_thinking, empty_thought))

    def _check_length(self, least: int) -> None:
        """Refuse what surely does not fit before its megabytes are made tokens, which takes seconds."""
        if least > self.max_context:
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
        )

    def _checked_ids(self, prompt: Prompt | Sequence[int]) -> Sequence[int]:
        """Ids that this model can read, or a RequestError."""
        if isinstance(prompt, Prompt) and prompt.media:
            kind = type(prompt.media[0]).__name__.lower()
            raise UnsupportedMediaError(f"{self.name} cannot take {kind} input: it was loaded for text alone")
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
        return ids

    def _suppressed(self) -> tuple[int, ...]:
        """Ids the checkpoint forbids, and rows of the head that no token, or no row of another table, stands behind."""
        text = self.config.text
        unused = range(min(self.tokenizer.vocab_size, text.num_readable_ids), text.vocab_size)
        return (*self.generation.suppress_tokens, *unused)

    def _options(self, sampling: Mapping[str, Any]) -> Sampling:
        """What the caller asked for, over the checkpoint's generation_config."""
        defaults = {name: getattr(self.generation, name) for name in SAMPLING_DEFAULTS}
        if not self.generation.do_sample:
            defaults["temperature"] = 0.0
        return Sampling.of(defaults | {name: value for name, value in sampling.items() if value is not None})


def load(
    source: str | os.PathLike[str],
    *,
    backend: str | None = None,
    dtype: str | None = None,
    device: str | None = None,
    threads: int | None = None,
    max_context: int | None = None,
) -> Model:
    """Load a model by embedded name ("pebble"), from a checkpoint folder, or a seeded stand-in ("tiny-random-e2b").

    Names of the Hugging Face Hub ("e2b", "google/gemma-4-E2B-it@main") mean the copy in its cache; one that is not
    there is fetched first, which is told on stderr (DownloadError, also where HF_HUB_OFFLINE=1 forbids it).
    `dtype` is "float32", "bfloat16" or "float16"; `max_context` in tokens, at most what the model was built for.
    Raises ModelNotFoundError, ModelFileError, MissingDependencyError, or GemsmithError for impossible settings.
    """
    found = resolve(source)
    if found.kind in ("remote", "gguf"):
        found = fetched(found, memory=total_memory())
    options: dict[str, Any] = {"backend": backend, "dtype": dtype, "device": device, "threads": threads}
    if found.kind == "random":
        config = preset(found.name)
        _check_context(config, max_context)
        limit = admitted_context(found.name, config.text, None, asked=max_context, dtype=dtype, device=device)
        runtime = open_runtime(config.text, None, **options)
        generation = GenerationConfig.default(config)
        return Model(found.name, config, runtime, load_tokenizer(DEFAULT_TOKENIZER), generation, limit)
    if found.kind == "config":
        raise ModelFileError(f"{found.name} describes a model but holds no weights; give the folder of a checkpoint")
    assert found.path is not None
    checkpoint = open_checkpoint(found.path)
    text = checkpoint.config.text
    _check_context(checkpoint.config, max_context)
    limit = admitted_context(found.name, text, checkpoint, asked=max_context, dtype=dtype, device=device)
    if message := template_warning(checkpoint.chat_template):
        warnings.warn(f"{found.name}: {message}", stacklevel=2)
    tokenizer = load_tokenizer(checkpoint.tokenizer_path) if checkpoint.tokenizer_path else None
    if tokenizer is not None and tokenizer.vocab_size > text.vocab_size:
        raise ModelFileError(
            f"the tokenizer of {found.name} has {tokenizer.vocab_size} tokens but the model's table only"
            f" {text.vocab_size}; the files belong to different models"
        )
    generation = _generation_config(checkpoint)
    runtime = open_runtime(text, checkpoint, **options)
    return Model(found.name, checkpoint.config, runtime, tokenizer, generation, limit)


def _generation_config(checkpoint: Checkpoint) -> GenerationConfig:
    """The checkpoint's own, else the family's; a folder without a chat template is then taken for a base model's."""
    if checkpoint.generation_config is not None:
        return GenerationConfig.from_json(checkpoint.generation_config)
    return GenerationConfig.default(checkpoint.config, base=checkpoint.chat_template is None)


def _check_context(config: ModelConfig, asked: int | None) -> None:
    most = config.text.max_position_embeddings
    if asked is not None and (type(asked) is not int or not 1 <= asked <= most):
        raise GemsmithError(
            f"max_context must be from 1 to the {most} tokens this model was built for, found {shown(asked)}"
        )
