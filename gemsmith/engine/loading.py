"""`gemsmith.load`: hub finds, formats opens, a runtime takes the weights, and a Model stands on it."""

from __future__ import annotations

import os
import warnings
from typing import Any

from gemsmith.chat.template import template_warning
from gemsmith.config import GenerationConfig, ModelConfig, preset
from gemsmith.config.fields import shown
from gemsmith.engine.model import Model
from gemsmith.errors import GemsmithError, ModelFileError
from gemsmith.formats.checkpoint import Checkpoint, open_checkpoint
from gemsmith.formats.gguf import GgufCheckpoint, open_gguf
from gemsmith.hub.fetch import fetched
from gemsmith.hub.names import DEFAULT_TOKENIZER, resolve
from gemsmith.runtime.plan import admitted_context
from gemsmith.runtime.probe import total_memory
from gemsmith.runtime.select import open_runtime
from gemsmith.tokenizer import load_tokenizer


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
    if found.kind == "remote":
        found = fetched(found, memory=total_memory())
    options: dict[str, Any] = {"backend": backend, "dtype": dtype, "device": device, "threads": threads}
    if found.kind == "random":
        config = preset(found.name)
        _check_context(config, max_context)
        limit = admitted_context(found.name, config, None, asked=max_context, dtype=dtype, device=device)
        runtime = open_runtime(config, None, **options)
        generation = GenerationConfig.default(config)
        return Model(found.name, config, runtime, load_tokenizer(DEFAULT_TOKENIZER), generation, limit)
    if found.kind == "config":
        raise ModelFileError(f"{found.name} describes a model but holds no weights; give the folder of a checkpoint")
    assert found.path is not None
    checkpoint = open_gguf(found.path) if found.kind == "gguf" else open_checkpoint(found.path)
    text = checkpoint.config.text
    _check_context(checkpoint.config, max_context)
    limit = admitted_context(found.name, checkpoint.config, checkpoint, asked=max_context, dtype=dtype, device=device)
    if message := template_warning(checkpoint.chat_template):
        warnings.warn(f"{found.name}: {message}", stacklevel=2)
    tokenizer = load_tokenizer(checkpoint.tokenizer_path) if checkpoint.tokenizer_path else None
    if tokenizer is not None and tokenizer.vocab_size > text.vocab_size:
        raise ModelFileError(
            f"the tokenizer of {found.name} has {tokenizer.vocab_size} tokens but the model's table only"
            f" {text.vocab_size}; the files belong to different models"
        )
    generation = _generation_config(checkpoint)
    runtime = open_runtime(checkpoint.config, checkpoint, **options)
    return Model(found.name, checkpoint.config, runtime, tokenizer, generation, limit)


def _generation_config(checkpoint: Checkpoint | GgufCheckpoint) -> GenerationConfig:
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
