"""`gemsmith.load`: hub finds, formats opens, a runtime takes the weights, and a Model stands on it."""

from __future__ import annotations

import os
import warnings
from typing import Any, Literal

from gemsmith import kernels
from gemsmith.chat.template import template_warning
from gemsmith.config import GenerationConfig, ModelConfig, preset
from gemsmith.config.fields import shown
from gemsmith.engine.model import Model
from gemsmith.engine.packing import Report, is_kept, kept_folder, kept_pack, packed
from gemsmith.errors import GemsmithError, ModelFileError
from gemsmith.formats.checkpoint import Checkpoint, open_checkpoint
from gemsmith.formats.gguf import GgufCheckpoint, open_gguf
from gemsmith.formats.pack import Pack, open_pack, sizes_of
from gemsmith.hub.fetch import fetched
from gemsmith.hub.names import DEFAULT_TOKENIZER, EMBEDDED, Resolved, resolve
from gemsmith.runtime.packed_plan import admitted_packed_context
from gemsmith.runtime.plan import admitted_context
from gemsmith.runtime.probe import total_memory
from gemsmith.runtime.select import check_settings, has_torch, open_packed_runtime, open_runtime
from gemsmith.tokenizer import Tokenizer, load_tokenizer


def load(
    source: str | os.PathLike[str],
    *,
    backend: str | None = None,
    dtype: str | None = None,
    device: str | None = None,
    threads: int | None = None,
    max_context: int | None = None,
    kv: str | None = None,
) -> Model:
    """Load a model by embedded name ("pebble"), from a checkpoint folder, a pack (`gemsmith quantize`) or a .gguf file,
    or a seeded stand-in ("tiny-random-e2b").

    Names of the Hugging Face Hub ("e2b", "google/gemma-4-E2B-it@main") mean the copy in its cache; one that is not
    there is fetched first, which is told on stderr (DownloadError, also where HF_HUB_OFFLINE=1 forbids it).
    `backend` is "cpu", the native engine, or "torch", the reference, which also computes on GPUs and in a `dtype` of
    "float32", "bfloat16" or "float16". Left open, packs, GGUF files and embedded models run on the native engine, also
    where there is a GPU, as does everything where torch is not installed; a `device` or `dtype` means torch, and packs
    have the native engine alone. `kv` is what that engine stores keys and values in: "bf16", "q8" or "f32".
    `max_context` in tokens, at most what the model was built for. A GGUF file or checkpoint of more than 256 MB is
    packed the first time it runs on the native engine, which takes as much disk again and is told on stderr.
    Raises ModelNotFoundError, ModelFileError, MissingDependencyError, or GemsmithError for impossible settings.
    """
    found = resolve(source)
    if found.kind == "remote":
        found = fetched(found, memory=total_memory())
    options: dict[str, Any] = {"backend": backend, "dtype": dtype, "device": device, "threads": threads}
    check_settings(backend=backend, threads=threads, kv=kv)
    engine = engine_of(found, backend=backend, dtype=dtype, device=device)
    if kv is not None and engine == "torch":
        warnings.warn(f"kv={kv!r} is the native engine's, and {found.name} runs on torch: not used", stacklevel=2)
    if found.kind == "random":
        config = preset(found.name)
        check_context(config, max_context)
        limit = admitted_context(found.name, config, None, asked=max_context, dtype=dtype, device=device)
        runtime = open_runtime(config, None, **options)
        generation = GenerationConfig.default(config)
        return Model(found.name, config, runtime, load_tokenizer(DEFAULT_TOKENIZER), generation, limit)
    if found.kind == "config":
        raise ModelFileError(f"{found.name} describes a model but holds no weights; give the folder of a checkpoint")
    assert found.path is not None
    if found.kind == "pack":
        if backend == "torch" or dtype is not None or device is not None:
            raise GemsmithError(
                f"{found.name} is a pack, which runs on the native engine alone: leave out backend, dtype and device,"
                " or load the model that it was made from"
            )
        return _native(found.name, open_pack(found.path), threads=threads, kv=kv, max_context=max_context)
    if engine == "cpu":
        kernels.native()  # not to be found missing after minutes of packing
        pack = kept_pack(found.path) or packed(opened(found), found.path)
        return _native(found.name, pack, threads=threads, kv=kv, max_context=max_context)
    checkpoint = opened(found)
    check_context(checkpoint.config, max_context)
    limit = admitted_context(found.name, checkpoint.config, checkpoint, asked=max_context, dtype=dtype, device=device)
    if message := template_warning(checkpoint.chat_template):
        warnings.warn(f"{found.name}: {message}", stacklevel=2)
    tokenizer = _tokenizer(found.name, checkpoint)
    runtime = open_runtime(checkpoint.config, checkpoint, **options)
    return Model(found.name, checkpoint.config, runtime, tokenizer, _generation_config(checkpoint), limit)


def engine_of(
    found: Resolved, *, backend: str | None = None, dtype: str | None = None, device: str | None = None
) -> Literal["cpu", "torch"]:
    """The engine that `load` takes for this model: told so, or nobody asked for torch and it is the better one."""
    if found.kind == "pack":
        return "cpu"
    if found.kind == "random":
        return "torch"
    if backend is not None:
        return "cpu" if backend == "cpu" else "torch"
    if dtype is not None or device is not None or not kernels.available():
        return "torch"
    return "cpu" if found.kind == "gguf" or found.name in EMBEDDED or not has_torch() else "torch"


def prepare(
    source: str | os.PathLike[str],
    report: Report,
    *,
    backend: str | None = None,
    dtype: str | None = None,
    device: str | None = None,
) -> None:
    """Do now what `load` would do once for a large model, and tell `report`: pack it. Nothing for one not here."""
    found = resolve(source)
    if found.kind not in ("checkpoint", "gguf") or found.path is None:
        return
    is_native = engine_of(found, backend=backend, dtype=dtype, device=device) == "cpu" and kernels.available()
    if is_native and kept_folder(found.path) is not None and not is_kept(found.path):
        packed(opened(found), found.path, report)


def opened(found: Resolved) -> Checkpoint | GgufCheckpoint:
    """The checkpoint at a path: headers are read, weights are not."""
    assert found.path is not None
    return open_gguf(found.path) if found.kind == "gguf" else open_checkpoint(found.path)


def _native(name: str, pack: Pack, *, threads: int | None, kv: str | None, max_context: int | None) -> Model:
    """A pack on the native engine."""
    check_context(pack.config, max_context)
    limit = admitted_packed_context(name, pack.config, sizes_of(pack).resident, asked=max_context, kv=kv)
    if message := template_warning(pack.chat_template):
        warnings.warn(f"{name}: {message}", stacklevel=3)
    runtime = open_packed_runtime(pack, threads=threads, kv=kv)
    return Model(name, pack.config, runtime, _tokenizer(name, pack), _generation_config(pack), limit)


def _tokenizer(name: str, checkpoint: Checkpoint | GgufCheckpoint | Pack) -> Tokenizer | None:
    if checkpoint.tokenizer_path is None:
        return None
    tokenizer, num_rows = load_tokenizer(checkpoint.tokenizer_path), checkpoint.config.text.vocab_size
    if tokenizer.vocab_size > num_rows:
        raise ModelFileError(
            f"the tokenizer of {name} has {tokenizer.vocab_size} tokens but the model's table only"
            f" {num_rows}; the files belong to different models"
        )
    return tokenizer


def _generation_config(checkpoint: Checkpoint | GgufCheckpoint | Pack) -> GenerationConfig:
    """The checkpoint's own, else the family's; a folder without a chat template is then taken for a base model's."""
    if checkpoint.generation_config is not None:
        return GenerationConfig.from_json(checkpoint.generation_config)
    return GenerationConfig.default(checkpoint.config, base=checkpoint.chat_template is None)


def check_context(config: ModelConfig, asked: int | None) -> None:
    """GemsmithError for a context that this model cannot have."""
    most = config.text.max_position_embeddings
    if asked is not None and (type(asked) is not int or not 1 <= asked <= most):
        raise GemsmithError(
            f"max_context must be from 1 to the {most} tokens this model was built for, found {shown(asked)}"
        )
