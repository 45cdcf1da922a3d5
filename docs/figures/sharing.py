"""Which layer of E2B reads whose keys and values."""

from __future__ import annotations

from collections.abc import Iterator

from docs.figures.svg import box, drawing, label, path
from gemsmith.config import LayerConfig, TextConfig, preset

WIDTH, TOP, STEP, BOX_X, BOX_WIDTH, STORE_X = 440, 28, 17, 40, 120, 190
BUS = {True: 318, False: 352}  # where the line from the shared store runs down: sliding, full


def figure() -> str:
    """One row a layer; a store beside each layer that keeps K/V, and lines to the layers that read another's."""
    text = preset("e2b").text
    height = TOP + STEP * text.num_hidden_layers + 8
    return drawing(
        *("sharing", WIDTH, height, "Which layer of E2B reads whose keys and values"),
        f"E2B: {text.num_kv_layers} of {text.num_hidden_layers} layers keep K/V. The others read what the last layer of"
        " their own kind has kept.",
        shapes(text),
    )


def shapes(text: TextConfig) -> Iterator[str]:
    yield label(BOX_X, 16, "layer", "small")
    yield label(STORE_X, 16, "keeps", "small")
    yield label(BUS[True] - 8, 16, "is read by", "small")
    for kind in (True, False):
        yield from bus(text, kind)
    for layer in text.layers:
        yield from row(layer)


def row(layer: LayerConfig) -> Iterator[str]:
    y = top(layer.index)
    name = "sliding" if layer.is_sliding else "full"
    yield label(BOX_X - 8, y + 11, str(layer.index), "small", "end")
    yield box(BOX_X, y, BOX_WIDTH, STEP - 3, name if layer.makes_kv else f"{name} hollow", 3)
    yield label(BOX_X + 8, y + 11, name, f"tiny {name}-ink")
    if layer.makes_kv:
        yield box(STORE_X, y, 74 if layer.is_sliding else 104, STEP - 3, name, 3)
        yield label(STORE_X + 8, y + 11, "ring" if layer.is_sliding else "all positions", f"tiny {name}-ink")


def bus(text: TextConfig, is_sliding: bool) -> Iterator[str]:
    """From the last store of a kind down to every layer that reads it."""
    readers = [layer for layer in text.layers if layer.is_sliding == is_sliding and not layer.makes_kv]
    kind = "sliding-line" if is_sliding else "full-line"
    source, x = readers[0].kv_source, BUS[is_sliding]
    start = STORE_X + (74 if is_sliding else 104)
    yield path(f"M{start} {middle(source):g}H{x}V{middle(readers[-1].index):g}", kind)
    for layer in readers:
        y, end = middle(layer.index), BOX_X + BOX_WIDTH
        yield path(f"M{x} {y:g}H{end + 2}M{end + 7} {y - 4:g}L{end + 2} {y:g}L{end + 7} {y + 4:g}", kind)
    yield label(x + 5, middle(source) + 4, f"layer {source}", f"tiny {kind.removesuffix('-line')}-ink")


def top(index: int) -> float:
    return TOP + STEP * index


def middle(index: int) -> float:
    return top(index) + (STEP - 3) / 2
