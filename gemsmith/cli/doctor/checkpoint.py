"""One model, from its name to its first tokens: everything that keeps it from being loaded, or from being right."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gemsmith.cli.doctor import native
from gemsmith.cli.doctor.finding import Finding, size
from gemsmith.config import GenerationConfig, ModelConfig, preset
from gemsmith.config.cost import kv_bytes
from gemsmith.engine.loading import engine_of, opened
from gemsmith.errors import GemsmithError, ModelNotFoundError
from gemsmith.formats.checkpoint import Checkpoint
from gemsmith.formats.gguf import GgufCheckpoint
from gemsmith.formats.pack import Pack, open_pack
from gemsmith.hub.known import preset_of
from gemsmith.hub.names import DEFAULT_TOKENIZER, Resolved, resolve

Say = Callable[[str], None]
Content = Checkpoint | GgufCheckpoint | Pack

NUM_TOKENS = 16  # of the prompt that is computed twice
PLENTY = 5  # names told before "…"


def look_at_model(facts: dict[str, Any], source: str, *, quick: bool, say: Say) -> Iterator[Finding]:
    """Name, config, tensors, tokenizer, template, sampling, memory, weights, numbers; stops at what stops a load."""
    try:
        found = resolve(source)
        facts["kind"], facts["path"] = found.kind, str(found.path or "")
        config = _config(found)
        yield _place(found)
        facts["config"] = {"model_type": config.model_type, "dtype": config.dtype}
        yield Finding("ok", "config", _described(config))
        if found.kind == "config":
            yield Finding("note", "weights", "none here: this is a config alone", "gemsmith doctor FOLDER")
            return
        content = _content(found)
        if content is not None:
            yield from _files(content, facts)
        look = native.look if engine_of(found) == "cpu" else torch_memory
        fits = True
        for finding in look(found, config, content, facts):
            fits = fits and finding.mark != "wrong"
            yield finding
        if content is not None and not quick:
            whole = True
            for finding in native.sums(content, facts, say) if isinstance(content, Pack) else _weights(content, say):
                whole = whole and finding.mark != "wrong"
                yield finding
            fits = fits and whole
        if fits and not quick and found.kind != "remote":
            yield from _numbers(found, config, content, say)
    except ModelNotFoundError as error:
        yield Finding("wrong", "name", str(error), f"gemsmith pull {source}" if _is_on_the_hub(source) else "")
    except GemsmithError as error:
        yield Finding("wrong", _part_of(error), str(error))
    except OSError as error:
        yield Finding("wrong", "files", f"{error.strerror or error}: {error.filename or source}")


def _is_on_the_hub(source: str) -> bool:
    """Whether the name is one that can be fetched; a tag without a counterpart is not."""
    from gemsmith.hub.known import wanted

    try:
        return wanted(source) is not None
    except ModelNotFoundError:
        return False


def _place(found: Resolved) -> Finding:
    if found.kind == "remote":
        told = f"{found.name} is not on this machine; what follows is known of it without its files"
        return Finding("note", "name", told, f"gemsmith pull {found.name}")
    if found.path is None:
        return Finding("ok", "name", f"{found.name}: a stand-in whose weights are made from a seed")
    files = [found.path] if found.path.is_file() else sorted(found.path.iterdir())
    held = sum(file.stat().st_size for file in files if file.is_file())
    return Finding("ok", "name", f"{found.name}: {size(held)} in {found.path}")


def _config(found: Resolved) -> ModelConfig:
    """The model's own config; for one of Google's that is not here, the one that is known."""
    if found.wanted is not None and found.path is None:
        if (known := preset_of(found.wanted.repo)) is None:
            raise ModelNotFoundError(f"{found.name} is not here, and without its files nothing is known of it")
        return preset(known)
    if found.path is None:
        return preset(found.name)
    path: Path = found.path
    if found.kind == "gguf":
        return opened(found).config
    return ModelConfig.load(path.parent if path.is_file() and path.suffix == ".safetensors" else path)


def _described(config: ModelConfig) -> str:
    text = config.text
    senses = ", ".join(["text", *(sense for sense in ("vision", "audio") if getattr(config, sense))])
    return (
        f"{config.model_type} ({senses}), {text.num_hidden_layers} layers of width {text.hidden_size:,},"
        f" {text.max_position_embeddings:,} tokens of context, stored as {config.dtype}"
    )


def _content(found: Resolved) -> Content | None:
    if found.path is None:
        return None
    return open_pack(found.path) if found.kind == "pack" else opened(found)


def _files(content: Content, facts: dict[str, Any]) -> Iterator[Finding]:
    """Tensors, what lies beside the weights, and whether it belongs to them."""
    if isinstance(content, Pack):
        yield native.tensors(content, facts)
    else:
        views = list(content.values())
        dtypes, nbytes = sorted({view.dtype for view in views}), sum(view.nbytes for view in views)
        facts["tensors"], facts["bytes"], facts["dtypes"] = len(views), nbytes, dtypes
        text = f"{len(views):,} as the config asks for, {size(nbytes)} of {', '.join(dtypes)}"
        yield Finding("ok", "tensors", text)
    yield from _words(content)


def _words(checkpoint: Content) -> Iterator[Finding]:
    yield from _tokenizer(checkpoint)
    yield _template(checkpoint)
    yield from _sampling(checkpoint)


def _tokenizer(checkpoint: Content) -> Iterator[Finding]:
    from gemsmith.chat import render
    from gemsmith.cli.doctor.numbers import round_trip
    from gemsmith.tokenizer import load_tokenizer

    if checkpoint.tokenizer_path is None:
        text = f"none: {checkpoint.path} needs the tokenizer.json of its model; without it there are only logits of ids"
        yield Finding("wrong", "tokenizer", text)
        return
    try:
        tokenizer = load_tokenizer(checkpoint.tokenizer_path)
        render("hello", tokenizer=tokenizer)
    except GemsmithError as error:
        yield Finding("wrong", "tokenizer", str(error))
        return
    rows = checkpoint.config.text.vocab_size
    if tokenizer.vocab_size > rows:
        yield Finding("wrong", "tokenizer", f"{tokenizer.vocab_size:,} tokens, but the table has {rows:,} rows")
    trip = round_trip("tokenizer", tokenizer)
    yield Finding(trip.mark, "tokenizer", f"{tokenizer.vocab_size:,} tokens; {trip.text}")


def _template(checkpoint: Content) -> Finding:
    from gemsmith.chat.template import template_name, template_warning

    if warning := template_warning(checkpoint.chat_template):
        return Finding("note", "template", warning)
    if checkpoint.chat_template is None:
        return Finding("ok", "template", "none beside the weights; prompts are rendered in Gemma 4's own form")
    return Finding("ok", "template", f"known: {template_name(checkpoint.chat_template)}")


def _sampling(checkpoint: Content) -> Iterator[Finding]:
    rows = checkpoint.config.text.vocab_size
    if checkpoint.generation_config is None:
        yield Finding("ok", "sampling", "no generation_config.json; the family's defaults hold")
        return
    try:
        found = GenerationConfig.from_json(checkpoint.generation_config)
    except GemsmithError as error:
        yield Finding("wrong", "sampling", str(error))
        return
    if alien := [id for id in (*found.eos_token_ids, *found.suppress_tokens) if id >= rows]:
        yield Finding("wrong", "sampling", f"generation_config.json names ids {alien} of a vocabulary of {rows:,}")
    elif not found.eos_token_ids:
        yield Finding("wrong", "sampling", "generation_config.json names no id that ends a reply: none would end")
    else:
        how = f"temperature {found.temperature:g}, top-p {found.top_p:g}, top-k {found.top_k}"
        stops = ", ".join(map(str, found.eos_token_ids))
        yield Finding("ok", "sampling", f"{how if found.do_sample else 'greedy'}; a reply ends at id {stops}")


def torch_memory(
    found: Resolved, config: ModelConfig, content: Content | None, facts: dict[str, Any]
) -> Iterator[Finding]:
    """Weights and keys and values by number type, and whether what `load` would choose fits."""
    from gemsmith.runtime.candidates import chosen, torch_obstacle
    from gemsmith.runtime.plan import DTYPES, admitted_context, num_weights

    text = config.text
    most, count = text.max_position_embeddings, num_weights(config)
    sizes = {
        dtype: (count * nbytes, kv_bytes(text, most, bytes_per_value=nbytes)) for dtype, (_, nbytes) in DTYPES.items()
    }
    facts["memory"] = {dtype: {"weights": weights, "kv": kv} for dtype, (weights, kv) in sizes.items()}
    needs = {f"{dtype} {size(weights)} + {size(kv)}" for dtype, (weights, kv) in sizes.items() if dtype != "float16"}
    yield Finding("ok", "takes", f"weights + K/V of {most:,} tokens: {', '.join(sorted(needs))}")
    if missing := torch_obstacle():
        yield Finding("wrong", "runtime", missing.reason, missing.fix)
        return
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            tensors = None if isinstance(content, Pack) else content
            context = admitted_context(found.name, config, tensors, asked=None)
    except GemsmithError as error:
        yield Finding("wrong", "memory", str(error))
        return
    facts["context"], facts["runtime"] = context, str(chosen(config))
    told = f"; {said[0].message}" if said else ""
    yield Finding("note" if said else "ok", "memory", f"fits as {chosen(config)}, {context:,} tokens of context{told}")


def _weights(checkpoint: Checkpoint | GgufCheckpoint, say: Say) -> Iterator[Finding]:
    from gemsmith.cli.doctor.weights import scan

    total = sum(view.nbytes for view in checkpoint.values())
    found = scan(checkpoint, lambda done: say(f"reading weights: {done / max(total, 1):.0%} of {size(total)}"))
    for name, count in list(found.not_finite.items())[:PLENTY]:
        yield Finding("wrong", "weights", f"{name}: {count:,} of its numbers are NaN or infinite; get the file again")
    if (more := len(found.not_finite) - PLENTY) > 0:
        yield Finding("wrong", "weights", f"{more} more tensors hold NaN or infinity")
    if found.all_zero:
        names = ", ".join(found.all_zero[:PLENTY])
        text = f"{len(found.all_zero)} matrices hold nothing but zeros, as after a broken download: {names}"
        yield Finding("wrong", "weights", f"{text}; get the file again")
    if not found.not_finite and not found.all_zero:
        yield Finding("ok", "weights", f"{size(found.nbytes)} read: every number is finite, no matrix is empty")


def _numbers(found: Resolved, config: ModelConfig, content: Content | None, say: Say) -> Iterator[Finding]:
    """A short prompt in one shot and step by step: finite, and the same."""
    from gemsmith.engine import load
    from gemsmith.engine.packing import is_kept, kept_folder
    from gemsmith.runtime.candidates import chosen
    from gemsmith.runtime.selftest import LIMITS, compare, one_shot, step_by_step
    from gemsmith.tokenizer import load_tokenizer

    is_native = engine_of(found) == "cpu"
    source = found.path if is_native and found.kind != "pack" else None
    if source is not None and kept_folder(source) is not None and not is_kept(source):
        yield Finding("ok", "numbers", "not computed: it is packed when it first runs, and nothing is changed here")
        return
    say("loading")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # told above
        model = load(found.name)
    tokenizer = load_tokenizer((content and content.tokenizer_path) or DEFAULT_TOKENIZER)
    ids = [config.text.bos_token_id, *tokenizer.encode("The capital of France is Paris; of Spain it is Madrid.")]
    ids = [id for id in ids if id < config.text.num_readable_ids][:NUM_TOKENS]
    say(f"computing {len(ids)} tokens in one shot")
    at_once = one_shot(model.runtime, ids)
    say(f"computing {len(ids)} tokens step by step")
    dtype = "float32" if is_native else chosen(config).dtype  # a row's bits on the native engine depend on no neighbour
    error, _, _ = compare(step_by_step(model.runtime, ids), at_once, dtype)
    limit = LIMITS.get(dtype, LIMITS["bfloat16"])
    text = f"{len(ids)} tokens in one shot and step by step differ by {error:.1e} of the spread, limit {limit:.0e}"
    if error <= limit:
        yield Finding("ok", "numbers", text)
    else:
        yield Finding("wrong", "numbers", text, "gemsmith doctor")


def _part_of(error: GemsmithError) -> str:
    """Which part of a model an error is about."""
    kind = type(error).__name__
    names = {"ConfigError": "config", "TokenizerError": "tokenizer", "SettingError": "setting"}
    return names.get(kind, "tensors" if kind.startswith("Tensor") else "model")
