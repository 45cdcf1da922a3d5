"""Bytes of K/V of E2B against the length of the sequence: what its sliding and its full layers hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from docs.figures.svg import drawing, label, path
from gemsmith.cli.show import scaled
from gemsmith.config import TextConfig, cost, preset

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 440, 250, 52, 420, 28, 206
LONGEST, TICKS = 8192, (0, 2048, 4096, 6144, 8192)


def figure() -> str:
    """Two curves, and for comparison what would be held if no layer shared and none slid."""
    text = preset("e2b").text
    plain = replace(text, num_kv_shared_layers=0, sliding_window=LONGEST)
    return drawing(
        *("growth", WIDTH, HEIGHT, "Bytes of keys and values of E2B by length"),
        f"E2B, two bytes a number. At {LONGEST:,} tokens its caches hold {scaled(cost.kv_bytes(text, LONGEST), 'B')};"
        f" without windows and sharing it would be {scaled(cost.kv_bytes(plain, LONGEST), 'B')}.",
        shapes(text),
    )


def shapes(text: TextConfig) -> Iterator[str]:
    most = cost.kv_bytes(text, LONGEST)
    for length in TICKS:
        x = across(length)
        yield path(f"M{x:g} {TOP}V{BOTTOM}", "grid")
        yield label(x, BOTTOM + 18, f"{length:,}", "small", "middle")
    for share in (0, 1):
        yield label(LEFT - 6, up(share * most, most) + 4, scaled(share * most, "B") if share else "0", "small", "end")
    yield path(f"M{LEFT} {BOTTOM}H{RIGHT}", "line")
    yield curve([(n, kept(text, n, True)) for n in lengths(text)], most, "sliding-line thick")
    yield curve([(n, cost.kv_bytes(text, n)) for n in lengths(text)], most, "full-line thick")
    yield label(across(3700), up(cost.kv_bytes(text, 3700), most) - 12, "all layers", "bold full-ink", "end")
    yield label(across(8000), up(kept(text, LONGEST, True), most) - 8, "sliding layers", "bold sliding-ink", "end")
    yield label((LEFT + RIGHT) / 2, BOTTOM + 38, "tokens", "small", "middle")


def lengths(text: TextConfig) -> list[int]:
    return [0, text.sliding_window, LONGEST]  # between these the curves are straight


def kept(text: TextConfig, length: int, is_sliding: bool) -> int:
    """Bytes that the layers of one kind hold."""
    held = min(length, text.sliding_window) if is_sliding else length
    layers = [layer for layer in text.layers if layer.is_sliding == is_sliding]
    return 2 * held * sum(map(cost.kv_values_per_position, layers))


def across(length: float) -> float:
    return LEFT + (RIGHT - LEFT) * length / LONGEST


def up(value: float, most: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * value / most


def curve(points: list[tuple[int, int]], most: float, kind: str) -> str:
    return path("M" + "L".join(f"{across(n):g} {up(value, most):g}" for n, value in points), kind)
