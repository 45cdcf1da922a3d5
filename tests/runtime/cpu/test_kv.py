"""What the cache of keys and values is said to take is what the native engine allocates, to the byte."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gemsmith import kernels
from gemsmith.config import preset
from gemsmith.formats.pack import pack_in_memory
from gemsmith.runtime.cpu import KV, cache_bytes, open_cpu_runtime
from gemsmith.runtime.protocol import Run
from tests.formats.pack.small import small

SIZES = ("tiny-random-e2b", "tiny-random-12b", "tiny-random-26b-a4b", "tiny-random-31b")
LENGTHS = (1, 64, 65, 700, 1999)


@pytest.mark.slow
@pytest.mark.skipif(not kernels.available(), reason="the native engine was not built")
@pytest.mark.parametrize("size", SIZES)
def test_what_is_said_is_allocated(size: str) -> None:
    source = small(size)
    pack = pack_in_memory(source, "q8")
    for kv in KV:
        runtime = open_cpu_runtime(pack, threads=1, kv=kv)
        for length in LENGTHS:
            sequence = runtime.new()
            runtime.step([Run(sequence, [5] * length, [length - 1])])
            assert cache_bytes(source.config.text, length, kv) == runtime.nbytes(sequence), (kv, length)
            runtime.free(sequence)


def test_known_sizes() -> None:
    """E2B at its whole context: 12 rings of 832 positions, 3 full layers; 8 bits are half of 16 and a scale a head."""
    text = preset("e2b").text
    assert text.num_kv_layers == 15
    values = 2 * (12 * 832 * 256 + 3 * 131_072 * 512)
    assert cache_bytes(text, 131_072) == cache_bytes(text, 131_072, "bf16") == 2 * values
    assert cache_bytes(text, 131_072, "f32") == 4 * values
    scales = 8 * (12 * 832 + 3 * 131_072)
    assert cache_bytes(text, 131_072, "q8") == values + scales
    assert cache_bytes(text, 0) == 0


def test_layers_that_share_hold_nothing() -> None:
    text = preset("e2b").text
    alone = replace(text, num_kv_shared_layers=0)
    assert cache_bytes(alone, 4096) > 2 * cache_bytes(text, 4096)
