"""How a token travels through E2B: from text to ids, through the layers, back to text."""

from __future__ import annotations

from collections.abc import Iterator

from docs.figures.svg import arrow, box, drawing, label, path
from gemsmith.cli.show import ranges
from gemsmith.config import TextConfig, preset

WIDTH, LEFT, WIDE, MIDDLE = 460, 70, 270, 205


def figure() -> str:
    """The whole way, top to bottom; the loop on the left is one generated token."""
    text = preset("e2b").text
    return drawing(
        *("travel", WIDTH, 742, "How a token travels through Gemma 4 E2B"),
        "E2B, top to bottom. A prompt token leaves after the first box of layers; the last one goes on to the end,"
        " and the token that is drawn there enters at the top again.",
        shapes(text),
    )


def shapes(text: TextConfig) -> Iterator[str]:
    D, L, P, V = text.hidden_size, text.num_hidden_layers, text.hidden_size_per_layer_input, text.vocab_size
    yield from stage(8, "text", "“What is 17 + 25?”", kind="plain")
    yield arrow(MIDDLE, 54, MIDDLE, 78)
    yield label(MIDDLE + 8, 70, "render, encode; control ids go between", "small")
    yield from stage(78, "ids", "T whole numbers", kind="plain")
    yield arrow(MIDDLE - 70, 124, MIDDLE - 70, 148)
    yield arrow(MIDDLE + 70, 124, MIDDLE + 70, 148)
    yield from half(LEFT, 148, "embedding", f"row of {D:,} · √D")
    yield from half(LEFT + 140, 148, "per-layer rows", f"{L} × {P} · √P")
    yield arrow(MIDDLE - 70, 194, MIDDLE - 70, 224)
    yield path(f"M{LEFT + 235} 194V208H{LEFT + 292}V420H{LEFT + WIDE}", "line")
    yield arrow(LEFT + 292, 272, LEFT + WIDE, 272)
    yield arrow(LEFT + 280, 420, LEFT + WIDE, 420)
    yield label(LEFT + 298, 226, "each layer", "small")
    yield label(LEFT + 298, 240, "gets its own", "small")
    yield label(LEFT + 298, 254, "slice", "small")
    yield from makers(text)
    yield from sharers(text)
    yield arrow(MIDDLE, 482, MIDDLE, 506)
    yield from stage(506, "norm, head", f"{V:,} logits: the embedding table again", kind="plain")
    yield arrow(MIDDLE, 552, MIDDLE, 576)
    cap = f"{text.final_logit_softcapping:g}"
    yield label(MIDDLE + 8, 568, f"soft-cap: {cap} · tanh(z / {cap})", "small")
    yield from stage(576, "sampler", "penalties, temperature, top-k, top-p, min-p, draw", kind="plain")
    yield arrow(MIDDLE, 622, MIDDLE, 646)
    yield label(MIDDLE + 8, 638, "one id", "small")
    yield from stage(646, "decoder, parser", "bytes to characters; ids to parts", kind="plain")
    yield arrow(MIDDLE, 692, MIDDLE, 714)
    yield label(MIDDLE, 732, "events: text, thought, tool_call, error, done", "bold", "middle")
    yield path(f"M{LEFT} 599H34V101H{LEFT - 2}M{LEFT - 7} 96.5L{LEFT - 2} 101L{LEFT - 7} 105.5", "line")
    yield '<text class="small" transform="translate(26 420) rotate(-90)" text-anchor="middle">until a stop id</text>'


def stage(y: float, name: str, what: str, kind: str) -> Iterator[str]:
    yield box(LEFT, y, WIDE, 46, kind)
    yield label(MIDDLE, y + 19, name, "bold", "middle")
    yield label(MIDDLE, y + 36, what, "small", "middle")


def half(x: float, y: float, name: str, what: str) -> Iterator[str]:
    yield box(x, y, 130, 46)
    yield label(x + 65, y + 19, name, "bold", "middle")
    yield label(x + 65, y + 36, what, "small", "middle")


def makers(text: TextConfig) -> Iterator[str]:
    own = [layer for layer in text.layers if layer.makes_kv]
    sliding = sum(layer.is_sliding for layer in own)
    yield box(LEFT, 224, WIDE, 104, "group")
    yield label(LEFT + 10, 243, f"layers {ranges([layer.index for layer in own])} make K/V", "bold")
    yield box(LEFT + 10, 254, WIDE - 20, 28, "sliding")
    yield label(LEFT + 20, 272, f"{sliding} sliding: a ring of {text.sliding_window}", "sliding-ink")
    yield box(LEFT + 10, 288, WIDE - 20, 28, "full")
    yield label(LEFT + 20, 306, f"{len(own) - sliding} full: storage that grows", "full-ink")
    yield arrow(MIDDLE, 328, MIDDLE, 378)
    yield label(MIDDLE + 8, 346, "prompt tokens stop here,", "small")
    yield label(MIDDLE + 8, 360, "all but the last", "small")


def sharers(text: TextConfig) -> Iterator[str]:
    shared = [layer for layer in text.layers if not layer.makes_kv]
    sliding = [layer for layer in shared if layer.is_sliding]
    full = [layer for layer in shared if not layer.is_sliding]
    yield box(LEFT, 378, WIDE, 104, "group")
    yield label(LEFT + 10, 397, f"layers {ranges([layer.index for layer in shared])} make none", "bold")
    yield box(LEFT + 10, 408, WIDE - 20, 28, "sliding")
    yield label(LEFT + 20, 426, f"{len(sliding)} sliding read layer {sliding[0].kv_source}'s ring", "sliding-ink")
    yield box(LEFT + 10, 442, WIDE - 20, 28, "full")
    yield label(LEFT + 20, 460, f"{len(full)} full read what layer {full[0].kv_source} keeps", "full-ink")
