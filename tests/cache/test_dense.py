"""The dense cache: what is stored, where, how many bytes, and what can be taken back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.cache.dense import DenseCache
from gemsmith.config import TextConfig, preset
from gemsmith.config.cost import kv_bytes

pytestmark = pytest.mark.slow  # hundreds of passes

TEXT = preset("tiny-random-e2b").text
WINDOW = TEXT.sliding_window


def rows(cache: DenseCache, layer: int, positions: range) -> tuple[torch.Tensor, torch.Tensor]:
    """K and V rows that hold their own position, so that a mix-up shows."""
    store = cache.stores[layer]
    shape = (1, len(positions), *store.k.shape[2:])
    values = torch.tensor(positions, dtype=torch.float32).reshape(1, -1, 1, 1).expand(shape)
    return values, -values


def feed(cache: DenseCache, count: int) -> dict[int, list[int]]:
    """Append `count` rows to every layer; the positions each may read now."""
    positions = range(cache.length, cache.length + count)
    seen = {}
    for layer, store in cache.stores.items():
        expected = cache.key_positions(store.is_sliding, count, torch.device("cpu")).tolist()
        k, v = cache.append(layer, *rows(cache, layer, positions))
        assert k[0, :, 0, 0].tolist() == expected and torch.equal(v, -k)
        seen[layer] = expected
    cache.advance(count)
    return seen


@given(counts=st.lists(st.integers(1, 2 * WINDOW + 3), min_size=1, max_size=6))
def test_every_layer_reads_what_it_may(counts: list[int]) -> None:
    cache = DenseCache(TEXT, dtype=torch.float32, growth=4)
    for count in counts:
        start = cache.length
        for layer, seen in feed(cache, count).items():
            first = max(0, start - WINDOW) if cache.stores[layer].is_sliding else 0
            assert sorted(seen) == list(range(first, start + count))


@given(length=st.integers(1, 70), growth=st.sampled_from([1, 4, 16]), split=st.integers(1, 9))
def test_bytes_equal_the_formula(length: int, growth: int, split: int) -> None:
    cache = DenseCache(TEXT, dtype=torch.float32, growth=growth)
    while cache.length < length:
        feed(cache, min(split, length - cache.length))
    assert cache.nbytes == kv_bytes(TEXT, length, bytes_per_value=4, growth=growth)


@pytest.mark.slow
@pytest.mark.parametrize("size", ["e2b", "e4b", "12b", "26b-a4b", "31b"])
def test_bytes_equal_the_formula_for_released_sizes(size: str) -> None:
    text: TextConfig = preset(size).text
    cache = DenseCache(text, dtype=torch.bfloat16, device="meta")
    for layer, store in cache.stores.items():
        shape = (1, 3000, *store.k.shape[2:])
        cache.append(layer, torch.empty(shape, device="meta"), torch.empty(shape, device="meta"))
    assert cache.nbytes == kv_bytes(text, 3000, bytes_per_value=2, growth=256)


def test_layers_that_share_store_nothing() -> None:
    assert set(DenseCache(TEXT, dtype=torch.float32).stores) == set(range(TEXT.num_kv_layers))


def test_a_fork_is_independent() -> None:
    cache = DenseCache(TEXT, dtype=torch.float32)
    feed(cache, 5)
    twin = cache.fork()
    feed(twin, 3)
    assert (cache.length, twin.length) == (5, 8)
    assert all(sorted(seen) == list(range(6)) for seen in feed(cache, 1).values())


def test_trim_within_the_window_and_to_nothing() -> None:
    cache = DenseCache(TEXT, dtype=torch.float32)
    feed(cache, WINDOW)
    cache.trim(WINDOW - 3)
    assert all(sorted(seen) == list(range(WINDOW - 1)) for seen in feed(cache, 2).values())
    cache.trim(0)
    assert cache.length == 0


def test_trim_refuses_what_is_gone() -> None:
    cache = DenseCache(TEXT, dtype=torch.float32)
    feed(cache, WINDOW + 1)
    with pytest.raises(ValueError, match=f"cannot trim to {WINDOW} of {WINDOW + 1}"):
        cache.trim(WINDOW)
    for length in (WINDOW + 2, -1):
        with pytest.raises(ValueError, match="9 are stored"):
            cache.trim(length)
