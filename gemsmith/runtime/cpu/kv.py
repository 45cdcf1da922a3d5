"""Bytes that the native engine's cache holds: native/attention/{layout.h,cache.cpp} and engine/sequence.h in numbers.

Pages of 64 positions, keys and values apart; values stand in blocks of 32 dimensions, so that a head that is no
multiple of them is padded. A sliding layer has a ring for its window and a prompt's chunk, whole from the first token
on; a full layer grows by some pages at once. Layers that share another's keys and values hold nothing.
"""

from __future__ import annotations

from gemsmith.config import LayerConfig, TextConfig

KV = ("bf16", "q8", "f32")  # what keys and values may be stored in, the default first
PAGE, BLOCK = 64, 32  # positions, dimensions
SLACK = 256  # positions of a prompt's chunk, beyond the window
HUGE, MOST_PAGES = 2 << 20, 16  # a full layer's chunk: as many pages as fill this, at most so many
_VALUE_BYTES = {"f32": 4, "bf16": 2, "q8": 1}
_SCALES = {"q8": 2 * 4}  # a float for the keys of a head's position, one for its values


def cache_bytes(text: TextConfig, length: int, kv: str | None = None) -> int:
    """What a sequence of `length` tokens allocates, to the byte."""
    return sum(_layer_bytes(text, layer, length, kv or KV[0]) for layer in text.layers if layer.makes_kv)


def position_bytes(layer: LayerConfig, kv: str | None = None) -> int:
    """One position of a layer: keys, values and scales of all its heads."""
    return layer.num_key_value_heads * _head_bytes(layer.head_dim, kv or KV[0])


def _layer_bytes(text: TextConfig, layer: LayerConfig, length: int, kv: str) -> int:
    page = PAGE * position_bytes(layer, kv)
    if not length:
        return 0
    if layer.is_sliding:
        return (_pages(text.sliding_window + SLACK) + 1) * page
    chunk = min(max(HUGE // page, 1), MOST_PAGES)
    return -(-_pages(length) // chunk) * chunk * page


def _head_bytes(head_dim: int, kv: str) -> int:
    padded = -(-head_dim // BLOCK) * BLOCK
    return (head_dim + padded) * _VALUE_BYTES[kv] + _SCALES.get(kv, 0)


def _pages(positions: int) -> int:
    return -(-positions // PAGE)
