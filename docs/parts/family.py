"""Tables of the model family. Every number comes from `gemsmith.config`: presets, and the cost functions on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from gemsmith.cli.show import LABELS, kv_of, ranges, scaled
from gemsmith.config import ModelConfig, cost, preset
from gemsmith.config.text import LayerConfig

RELEASED = ("e2b", "e4b", "12b", "26b-a4b", "31b")
OURS = ("pebble", "pebble-moe")
CONTEXTS = (1024, 8192, 32_768, 131_072)
BANDWIDTHS = (50e9, 400e9, 3350e9)  # bytes/s: a laptop's memory, a large desktop chip's, one H100's
BYTES_PER_NUMBER = 2  # bfloat16, as released

Fact = Callable[[ModelConfig], str]


def table(head: Sequence[str], rows: Iterable[Sequence[str]], sides: str = "") -> str:
    """A Markdown table. `sides` says "l" or "r" for every column; without it the first is left, the others right."""
    sides = sides or "l" + "r" * (len(head) - 1)
    lines = ["| " + " | ".join(head) + " |", "".join({"l": "|:--", "r": "|--:"}[side] for side in sides) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def by_model(facts: dict[str, Fact], names: Sequence[str]) -> str:
    """One column a model, one row a fact; a fact that no model has is left out."""
    rows = [[label, *(fact(preset(name)) for name in names)] for label, fact in facts.items()]
    return table(["", *(f"`{name}`" for name in names)], [row for row in rows if set(row[1:]) != {"–"}])


def sizes() -> str:
    """What the names count."""
    return by_model(SIZES, RELEASED)


def shapes() -> str:
    """Widths and counts of the text decoders."""
    return by_model(SHAPES, RELEASED)


def embedded() -> str:
    """The same for the models of this repository's own."""
    return by_model(
        {
            "parameters": lambda c: f"{cost.total_parameters(c, include_dead=False):,}",
            **SHAPES,
            "K/V bytes": _kv_pebble,
        },
        OURS,
    )


def layers() -> str:
    """The kinds of layer of each size, and where each kind's K/V come from."""
    return table(
        ["model", "layers", "how many", "attention", "K/V heads × width", "MLP width", "keys and values"],
        [row for name in RELEASED for row in _layer_rows(name)],
        "llrlrrl",
    )


def parameters() -> str:
    """Counts by component, and their sum."""
    counts = {name: cost.parameters(preset(name)) for name in RELEASED}
    rows = [
        [label, *(f"{counts[name][key]:,}" if key in counts[name] else "–" for name in RELEASED)]
        for key, label in LABELS.items()
    ]
    total = ["**whole file**", *(f"**{sum(counts[name].values()):,}**" for name in RELEASED)]
    return table(["", *(f"`{name}`" for name in RELEASED)], [*rows, total])


def operations() -> str:
    """FLOPs of one token, by where it stands."""
    rows = []
    for context in CONTEXTS:
        for label, count in (
            ("prompt token", lambda c, n: cost.flops_per_prompt_token(c, n - 1)),
            ("… if it ran every layer", lambda c, n: cost.flops_per_prompt_token(c, n - 1, skip_shared=False)),
            ("generated token", cost.flops_per_generated_token),
        ):
            counts = [count(preset(name), context) for name in RELEASED]
            rows.append([f"{context:,}", label, *(scaled(n, "FLOP") for n in counts)])
    return table(["context", "", *(f"`{name}`" for name in RELEASED)], rows, "rl" + "r" * len(RELEASED))


def keys_and_values() -> str:
    """Bytes of one sequence's K/V."""
    rows = [
        [f"{context:,}", *(scaled(cost.kv_bytes(preset(name), context), "B") for name in RELEASED)]
        for context in CONTEXTS
    ]
    return table(["context", *(f"`{name}`" for name in RELEASED)], rows, "r" * (1 + len(RELEASED)))


def speed() -> str:
    """The most tokens a second that a memory's speed allows, one sequence, 8,192 tokens of context."""
    rows = [["bytes read for one token", *(scaled(bytes_read(preset(name), 8192), "B") for name in RELEASED)]]
    for bandwidth in BANDWIDTHS:
        most = [bandwidth / bytes_read(preset(name), 8192) for name in RELEASED]
        rows.append([f"at {bandwidth / 1e9:,.0f} GB/s", *(f"{n:,.3g} tokens/s" for n in most)])
    return table(["", *(f"`{name}`" for name in RELEASED)], rows)


def bytes_read(config: ModelConfig, context: int) -> int:
    """Bytes that one generated token moves: each weight it uses once, and the K/V that every layer looks at."""
    return BYTES_PER_NUMBER * (cost.active_parameters(config) + sum(_values_seen(config, context)))


def _values_seen(config: ModelConfig, context: int) -> Iterator[int]:
    """Numbers of K/V that each layer reads, its own or another's."""
    text = config.text
    for layer in text.layers:
        seen = min(context, text.sliding_window) if layer.is_sliding else context
        yield seen * cost.kv_values_per_position(text.layers[layer.kv_source])


def _layer_rows(name: str) -> Iterator[list[str]]:
    kinds: dict[tuple[str, ...], list[int]] = {}
    for layer in preset(name).text.layers:
        kinds.setdefault(_kind(layer), []).append(layer.index)
    for kind, members in kinds.items():
        yield [f"`{name}`", ranges(members), str(len(members)), *kind]


def _kind(layer: LayerConfig) -> tuple[str, ...]:
    attention = "sliding" if layer.is_sliding else "full"
    heads = f"{layer.num_key_value_heads} × {layer.head_dim}"
    return attention, heads, f"{layer.intermediate_size:,}", kv_of(layer)


def _kv_pebble(config: ModelConfig) -> str:
    context = config.text.max_position_embeddings
    return f"{scaled(cost.kv_bytes(config, context), 'B')} at {context:,}"


def _or_dash(text: str | None) -> str:
    return text or "–"


SIZES: dict[str, Fact] = {
    "whole file": lambda c: f"{cost.total_parameters(c):,}",
    "text decoder": lambda c: f"{cost.text_parameters(c):,}",
    "… without its per-layer table": lambda c: f"{cost.effective_parameters(c):,}",
    "… that one token passes through": lambda c: f"{cost.active_parameters(c):,}",
    "text decoder in bfloat16": lambda c: scaled(BYTES_PER_NUMBER * cost.text_parameters(c), "B"),
    "longest context": lambda c: f"{c.text.max_position_embeddings:,}",
    "senses in the file": lambda c: ", ".join(["text", *(s for s in ("vision", "audio") if getattr(c, s))]),
}
SHAPES: dict[str, Fact] = {
    "vocabulary": lambda c: f"{c.text.vocab_size:,}",
    "hidden size": lambda c: f"{c.text.hidden_size:,}",
    "layers": lambda c: f"{c.text.num_hidden_layers}",
    "… with full attention": lambda c: f"{sum(not layer.is_sliding for layer in c.text.layers)}",
    "… that share another's K/V": lambda c: _or_dash(str(c.text.num_kv_shared_layers or "")),
    "query heads": lambda c: f"{c.text.num_attention_heads}",
    "K/V heads, sliding": lambda c: f"{next(x.num_key_value_heads for x in c.text.layers if x.is_sliding)}",
    "K/V heads, full": lambda c: f"{next(x.num_key_value_heads for x in c.text.layers if not x.is_sliding)}",
    "head width, sliding": lambda c: f"{c.text.head_dim}",
    "head width, full": lambda c: f"{c.text.global_head_dim}",
    "K and V from one projection": lambda c: _or_dash("full layers" if c.text.attention_k_eq_v else ""),
    "window": lambda c: f"{c.text.sliding_window:,}",
    "MLP width": lambda c: " / ".join(f"{w:,}" for w in sorted({x.intermediate_size for x in c.text.layers})),
    "per-layer width": lambda c: _or_dash(str(c.text.hidden_size_per_layer_input or "")),
    "experts, active of all": lambda c: _or_dash(
        f"{c.text.top_k_experts} of {c.text.num_experts}" if c.text.enable_moe_block else ""
    ),
    "expert width": lambda c: _or_dash(str(c.text.moe_intermediate_size) if c.text.enable_moe_block else ""),
    "logit soft-cap": lambda c: f"{c.text.final_logit_softcapping:g}",
}
