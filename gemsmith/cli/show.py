"""`gemsmith show SOURCE`: what a model is made of and what it costs, from its config alone."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gemsmith.cli.output import write
from gemsmith.config import cost
from gemsmith.config.model import ModelConfig
from gemsmith.config.presets import preset, preset_names
from gemsmith.config.text import LayerConfig, TextConfig
from gemsmith.errors import ModelNotFoundError

CONTEXTS = (4096, 32_768, 131_072)
NUMBERS = {"bfloat16": 2, "float32": 4}  # bytes of a number, in the types that people compute in
EPILOG = """\
examples:
  gemsmith show e2b
  gemsmith show ./my-checkpoint --json
  gemsmith show --config           your settings, and where each was set
"""
NOTES = """\
One multiply-add is 2 FLOPs; counted are products with weights and within attention. A prompt token has no logits, a
generated one runs the head too. K/V bytes are those of one sequence at two bytes a value."""
SKIP_NOTE = (
    """ A prompt token stops after the last layer that makes K/V; "every layer" is what it would cost otherwise."""
)
LABELS = {
    "token_embedding": "token embedding (also the head)",
    "ple_table": "per-layer embedding table",
    "ple_context": "per-layer context projection",
    "ple_layers": "per-layer gates, projections, norms",
    "attention": "attention",
    "dense_mlp": "dense MLP",
    "experts": "experts",
    "router": "router",
    "norms_and_scalars": "norms, layer scalars",
    "dead_kv": "K/V of sharing layers, never used",
    "vision": "vision",
    "audio": "audio",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `show` understands."""
    parser.epilog = EPILOG
    parser.add_argument(
        "source", metavar="SOURCE", nargs="?", help=f"{', '.join(preset_names()[:7])}, a folder or a config.json"
    )
    parser.add_argument(
        "--config", action="store_true", dest="tells_settings", help="instead: every setting, and where it was set"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object; `parameters` is the whole file's count"
    )


def run(args: argparse.Namespace) -> int:
    """Print the facts as a table, or as JSON."""
    if args.tells_settings:
        from gemsmith.cli.settings import listing

        if args.source is not None:
            args.usage_error("--config shows your settings and takes no SOURCE")
        return listing.show(args.settings, args.json)
    if args.source is None:
        args.usage_error("SOURCE is missing: name a model to show, or give --config for your settings")
    facts = describe(args.source)
    if args.json:
        print(json.dumps({name: value for name, value in facts.items() if name != "model"}, indent=2))
    else:
        write(sys.stdout, "\n".join(page(facts)) + "\n")  # a folder's name may be a stranger's
    return 0


def describe(source: str) -> dict[str, Any]:
    """All facts, as JSON has them; `model` alone is the config itself."""
    config, ships_dead = find(source)
    text = config.text
    return {
        "name": source,
        "here": here(source),
        "parameters": cost.total_parameters(config, include_dead=ships_dead),
        "parameters_by_component": cost.parameters(config, include_dead=ships_dead),
        "text_parameters": cost.text_parameters(config),
        "weight_bytes": {dtype: cost.text_parameters(config) * nbytes for dtype, nbytes in NUMBERS.items()},
        "effective_parameters": cost.effective_parameters(config),
        "active_parameters": cost.active_parameters(config),
        "costs": [costs(text, context) for context in contexts(text)],
        "layers": [asdict(layer) for layer in text.layers],
        "config": config.to_json(),
        "model": config,
    }


def find(source: str) -> tuple[ModelConfig, bool]:
    """The config that `source` means, and whether its file carries K/V that nothing uses. Names win over folders.

    A repository's name means its copy on this machine; for Google's own, where there is none, the config we know.
    """
    from gemsmith.hub import cache, known

    name = source.lower()
    if name in preset_names():
        return preset(name), not name.startswith(("pebble", "tiny-random"))
    path = Path(source)
    if source and not os.path.exists(source) and (wanted := known.wanted(source)) is not None:
        copy, of_google = cache.find(wanted), known.preset_of(wanted.repo)
        if copy is None and of_google is not None:
            return preset(of_google), True
        if copy is None:
            raise ModelNotFoundError(f"{source} is not on this machine; to fetch it: gemsmith pull {source}")
        path = copy
    if path.suffix == ".gguf" and os.path.isfile(path):
        from gemsmith.formats.gguf import open_gguf

        return open_gguf(path).config, False
    if not source or not (os.path.isfile(path) or os.path.isdir(path)):  # a pipe would never end
        raise ModelNotFoundError(
            f"there is no model {source[:200]!r}; known names are {', '.join(preset_names())}, or give the path of a"
            " checkpoint folder or a config.json"
        )
    config = ModelConfig.load(path.parent if path.suffix == ".safetensors" else path)
    return config, ships_dead_tensors(path, config)


def here(source: str) -> str | None:
    """The folder on this machine with the weights of a name that the Hub has; None where there is none."""
    from gemsmith.hub import cache, known

    wanted = None if os.path.exists(source) else known.wanted(source)
    found = cache.find(wanted) if wanted else None
    return str(found) if found else None


def here_lines(facts: dict[str, Any]) -> Iterator[str]:
    """For a name that the Hub has: whether the model is on this machine, and where."""
    from gemsmith.hub import known, places

    if facts["here"]:
        yield f"on this machine: {places.shown(Path(facts['here']))}"
    elif not os.path.exists(facts["name"]) and known.wanted(facts["name"]):
        yield f"not on this machine; to fetch it: gemsmith pull {facts['name']}"


def ships_dead_tensors(path: Path, config: ModelConfig) -> bool:
    """Whether the weights beside a config hold K/V that nothing uses; without weights, what released files do."""
    from gemsmith.config.tensors import dead_tensors
    from gemsmith.hub.names import PACK_FILE

    folder = path if path.is_dir() else path.parent
    if (folder / PACK_FILE).exists():
        return False
    dead = dead_tensors(config.text)
    if not dead or not any(folder.glob("*.safetensors")):
        return bool(dead)
    from gemsmith.formats.names import released_names
    from gemsmith.formats.shards import open_tensors

    names = released_names(open_tensors(folder if path.suffix == ".json" else path), path.name)
    return not dead.keys().isdisjoint(names)


def contexts(text: TextConfig) -> tuple[int, ...]:
    """Lengths to give costs at: round ones, or fractions of a small model's limit."""
    limit = text.max_position_embeddings
    return tuple(c for c in CONTEXTS if c <= limit) or tuple(max(limit // part, 1) for part in (16, 4, 1))


def costs(text: TextConfig, context: int) -> dict[str, int]:
    """FLOPs and bytes at one length: of its last prompt token, of a token generated there, of the K/V cache."""
    return {
        "context": context,
        "flops_per_prompt_token": cost.flops_per_prompt_token(text, context - 1),
        "flops_per_prompt_token_every_layer": cost.flops_per_prompt_token(text, context - 1, skip_shared=False),
        "flops_per_generated_token": cost.flops_per_generated_token(text, context),
        "kv_bytes": cost.kv_bytes(text, context),
    }


def page(facts: dict[str, Any]) -> Iterator[str]:
    """The facts as lines of at most 80 characters."""
    config: ModelConfig = facts["model"]
    senses = ", ".join(["text", *(s for s in ("vision", "audio") if getattr(config, s))])
    yield f"{facts['name']}: {config.model_type} ({senses})"
    yield from here_lines(facts)
    yield from ("", *in_pairs(model_facts(config)))
    yield from ("", *layer_lines(config.text))
    yield from ("", *parameter_lines(facts))
    yield from ("", *cost_lines(facts["costs"]), "")
    notes = NOTES + (SKIP_NOTE if config.text.num_kv_shared_layers else "")
    yield from textwrap.wrap(f"{notes} Whether this machine can hold it: gemsmith plan {facts['name']}", 80)


def model_facts(config: ModelConfig) -> Iterator[tuple[str, str]]:
    """Names and values that hold for the whole text model."""
    text = config.text
    yield "vocabulary", f"{text.vocab_size:,}"
    yield "context", f"{text.max_position_embeddings:,}"
    yield "hidden size", f"{text.hidden_size:,}"
    yield "layers", f"{text.num_hidden_layers}"
    yield "query heads", f"{text.num_attention_heads}"
    yield "sliding window", f"{text.sliding_window:,}"
    yield "logit soft-cap", "none" if text.final_logit_softcapping is None else f"{text.final_logit_softcapping:g}"
    yield "stored as", config.dtype
    if text.hidden_size_per_layer_input:
        yield "per-layer width", f"{text.hidden_size_per_layer_input}"
    if text.num_kv_shared_layers:
        yield "layers sharing K/V", f"{text.num_kv_shared_layers}"
    if text.enable_moe_block:
        yield "experts", f"{text.top_k_experts} of {text.num_experts}"
        yield "expert width", f"{text.moe_intermediate_size:,}"


def in_pairs(facts: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Two facts a line."""
    cells = [f"  {name:<20}{value:>14}" for name, value in facts]
    for i in range(0, len(cells), 2):
        yield "  ".join(cells[i : i + 2])


def layer_lines(text: TextConfig) -> Iterator[str]:
    """One line for every kind of layer, and under it which layers are of that kind."""
    kinds: dict[tuple[Any, ...], list[int]] = {}
    for layer in text.layers:
        kind = (layer.is_sliding, layer.num_key_value_heads, layer.head_dim, layer.intermediate_size, kv_of(layer))
        kinds.setdefault(kind, []).append(layer.index)
    yield f"  {'layers':<12}{'attention':<11}{'K/V heads':>9}{'head dim':>10}{'MLP width':>11}   keys and values"
    for (is_sliding, heads, head_dim, width, source), members in kinds.items():
        attention = "sliding" if is_sliding else "full"
        yield f"  {len(members):<12}{attention:<11}{heads:>9}{head_dim:>10,}{width:>11,}   {source}"
        yield from textwrap.wrap(ranges(members), 76, initial_indent=" " * 4, subsequent_indent=" " * 4)


def kv_of(layer: LayerConfig) -> str:
    """Where a layer's keys and values come from."""
    if not layer.makes_kv:
        return f"those of layer {layer.kv_source}"
    return "own, one projection" if layer.k_eq_v else "own"


def ranges(numbers: list[int]) -> str:
    """Ascending numbers with their runs shortened: 0-3, 5, 7-9."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def parameter_lines(facts: dict[str, Any]) -> Iterator[str]:
    """Parameters by component, and the sums that have names."""
    yield f"  {'parameters':<40}{'count':>16}{'share':>9}"
    total = facts["parameters"]
    for component, count in facts["parameters_by_component"].items():
        yield f"  {LABELS[component]:<40}{count:>16,}{count / total:>9.1%}"
    yield f"  {'whole file':<40}{total:>16,}"
    yield f"  {'of which text':<40}{facts['text_parameters']:>16,}"
    if facts["effective_parameters"] != facts["text_parameters"]:
        yield f"  {'text without the per-layer table':<40}{facts['effective_parameters']:>16,}"
    if facts["active_parameters"] != facts["effective_parameters"]:
        yield f"  {'active for one token':<40}{facts['active_parameters']:>16,}"
    for dtype, nbytes in facts["weight_bytes"].items():
        yield f"  {f'memory for text weights in {dtype}':<40}{scaled(nbytes, 'B'):>16}"


def cost_lines(rows: list[dict[str, int]]) -> Iterator[str]:
    """FLOPs and bytes, a line for each length."""
    columns = {"flops_per_prompt_token": "prompt token", "flops_per_generated_token": "generated token"}
    if any(row["flops_per_prompt_token"] != row["flops_per_prompt_token_every_layer"] for row in rows):
        columns["flops_per_prompt_token_every_layer"] = "(every layer)"
    order = sorted(columns, key=list(rows[0]).index)
    yield f"  {'at context':<12}" + "".join(f"{columns[name]:>17}" for name in order) + f"{'K/V':>13}"
    for row in rows:
        flops = "".join(f"{scaled(row[name], 'FLOP'):>17}" for name in order)
        yield f"  {row['context']:<12,}{flops}{scaled(row['kv_bytes'], 'B'):>13}"


def scaled(value: float, unit: str) -> str:
    """Three digits and a decimal prefix: 4.56 GFLOP."""
    for prefix in ("", "k", "M", "G", "T"):
        if value < 999.5 or prefix == "T":
            break
        value /= 1000
    return f"{value:#.3g}".rstrip(".") + f" {prefix}{unit}"
