"""The likeliest ids of a head in two planes: those of the sorted logits, to the bit, and no other thread, batch or
instruction set has others. Heads of any shape, with digits of any kind."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import gemsmith
from gemsmith import kernels
from gemsmith.config.tensors import EMBEDDING
from gemsmith.formats import open_checkpoint
from gemsmith.formats.pack import Pack, pack_in_memory
from gemsmith.hub.names import DEFAULT_TOKENIZER
from gemsmith.quant import pack as packed
from gemsmith.runtime.cpu import CpuRuntime, lower
from gemsmith.runtime.protocol import Run

if not kernels.available():
    pytest.skip("the native engine is not built", allow_module_level=True)

pytestmark = pytest.mark.slow
CAP = 30.0
V, D = 4096, 192


@cache
def pebble() -> Pack:
    return pack_in_memory(open_checkpoint(DEFAULT_TOKENIZER.parent), "q8")


def opened(head: np.ndarray, *, threads: int = 2, cap: float = CAP, shape: tuple[int, int] | None = None) -> Any:
    """A native engine that has nothing but this head: floats [V, D], or packed bytes and their shape."""
    rows, cols = shape or head.shape
    data = packed(head, "q8_planes") if shape is None else head
    whole = lower(pebble().config.text, pebble().tensors).native()
    dims = whole["dims"] | {"vocab_size": rows, "hidden_size": cols, "softcap": cap, "per_layer_width": 0}
    dims |= {"num_layers": 0}
    embedding = {"format": "q8_planes", "rows": rows, "cols": cols, "count": 1, "data": data}
    program = whole | {"dims": dims, "embedding": embedding, "steps": [], "layers": []}
    program.pop("table", None)
    return kernels.native().Engine(program, threads, "bf16", 0)


def check(engine: Any, hidden: np.ndarray, *ks: int) -> int:
    """Rows one at a time and together, against the sorted logits; how many were left open by the upper plane."""
    before: int = engine.whole_heads_read
    hidden = np.ascontiguousarray(hidden, np.float32)
    logits = engine.logits(hidden)
    order = np.argsort(-logits, axis=1, kind="stable")
    for k in ks:
        values = np.take_along_axis(logits, order[:, :k], 1)
        for rows in (slice(0, None), slice(0, 2), *(slice(row, row + 1) for row in range(len(hidden)))):
            ids, found = engine.likeliest(hidden[rows], k)
            np.testing.assert_array_equal(ids, order[rows, :k])
            np.testing.assert_array_equal(found, values[rows])
    return int(engine.whole_heads_read) - before


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_pebble_in_8_bits_writes_with_a_head_in_two_planes() -> None:
    pack = pebble()
    assert pack.tensors[EMBEDDING].format == "q8_planes"
    runtime = CpuRuntime(pack.config, lower(pack.config.text, pack.tensors), threads=2)
    ids = gemsmith.load("pebble").tokenizer.encode("Sort these numbers: 31, 7, 95, 52, 18. What is 17 + 25?")
    rows = runtime.step([Run(runtime.new(), ids, range(len(ids)))])
    assert check(runtime._engine, rows.hidden, 1, 2) == 0, "what it was trained to write is decided by the upper plane"
    assert check(runtime._engine, rows.hidden, 64) <= len(ids) // 5
    np.testing.assert_array_equal(rows.token_ids, rows.logits.argmax(-1))
    np.testing.assert_array_equal(rows.top(9)[0], rows.likeliest(9)[0])


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shape", [(1, 1), (31, 33), (1000, 100), (4097, 192), (6000, 31)])
def test_random_heads(rng: np.random.Generator, shape: tuple[int, int], threads: int) -> None:
    for cap in (CAP, 0.0):
        engine = opened(rng.standard_normal(shape), threads=threads, cap=cap)
        ks = {1, min(40, shape[0]), shape[0]}
        check(engine, 0.1 * rng.standard_normal((4, shape[1])), *ks)


def test_a_random_head_is_decided_by_its_upper_plane(rng: np.random.Generator) -> None:
    engine = opened(rng.standard_normal((V, D)))
    for mean in (0, 0.3, -1):
        assert check(engine, 0.05 * (rng.standard_normal((6, D)) + mean), 1, 40) == 0


def test_every_instruction_set_finds_the_same() -> None:
    for isa in kernels.native().isa_names():
        if isa == kernels.isa():
            continue
        tests = [
            f"{__file__}::{name}" for name in ("test_a_random_head_is_decided_by_its_upper_plane", "test_random_heads")
        ]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
        done = subprocess.run(command, env=os.environ | {"GEMSMITH_ISA": isa}, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:]


def test_rows_of_unequal_size_and_few_large_activations(rng: np.random.Generator) -> None:
    engine = opened(rng.standard_normal((V, D)) * 10 ** rng.uniform(-3, 0, (V, 1)))
    hidden = rng.standard_normal((6, D)) * 1e-3
    hidden[:, 7] = 1.0
    hidden[3:, 40] = -5.0
    check(engine, hidden, 1, 64)


def test_of_equals_the_lower_id(rng: np.random.Generator) -> None:
    engine = opened(np.repeat(rng.standard_normal((-(-V // 5), D)), 5, axis=0)[:V])
    check(engine, 0.1 * rng.standard_normal((9, D)), 1, 3, 64)
    check(engine, np.zeros((1, D)), 1, 64)


@pytest.mark.parametrize("share", [0.5, 0.05, 0.005])
def test_some_rows_of_a_grid_of_four_bits(rng: np.random.Generator, share: float) -> None:
    """Their last digits are few and lean to one side, and hidden rows whose mean is not zero follow that."""
    head = rng.standard_normal((8192, 512)).astype(np.float32)
    groups = head.reshape(8192, -1, 32)
    steps = np.abs(groups).max(-1, keepdims=True) / 8
    on_grid = rng.random(8192) < share
    head[on_grid] = (np.round(groups / steps) * steps).reshape(head.shape)[on_grid]
    engine = opened(head)
    for mean in (-1, -0.4, 0.3):
        check(engine, 0.05 * (rng.standard_normal((10, 512)) + mean), 1, 64)


def test_heads_whose_last_digits_are_no_noise(rng: np.random.Generator) -> None:
    """Rows that an upper plane knows badly: the same digit in each place, or just the sign of the activation's."""
    hidden = 0.1 * rng.standard_normal((4, D))
    levels = np.full((V, D), 127.0)
    levels[:, 1:] = 16 * rng.integers(-7, 7, (V, 1)) + rng.integers(0, 16, (V, 1))  # a row is one number
    check(opened(levels / 127), np.abs(hidden), 1, 5)
    following = 16 * rng.integers(-7, 7, (V, D)) + 8 + np.where(rng.random((V, 1)) < 0.5, 7, -8) * np.sign(hidden[0])
    following[:, ::32] = 127
    engine = opened(following / 127)
    assert check(engine, hidden[:1], 1, 5) > 0
    before = engine.whole_heads_read
    for _ in range(200):
        check(engine, hidden[:1], 1)
    assert engine.whole_heads_read - before < 40, "it is not asked for ever"


def test_logits_at_their_cap_are_told_apart_by_their_id(rng: np.random.Generator) -> None:
    assert check(opened(rng.standard_normal((V, D))), 1e3 * rng.standard_normal((1, D)), 1, 64) > 0
    hidden = rng.standard_normal((1, D))  # some ordinary rows, and all others at the other cap
    head = 0.05 * rng.standard_normal((V, D)) - rng.uniform(300, 900, (V, 1)) / (hidden @ hidden.T).item() * hidden
    head[rng.choice(V, 10, replace=False)] = 0.05 * rng.standard_normal((10, D))
    check(opened(head), hidden, 1, 9, 10, 11, 64)


@pytest.mark.parametrize("scale", [1e-36, 1e-30, 1e30, 3e37])
def test_hidden_rows_of_any_size(rng: np.random.Generator, scale: float) -> None:
    check(opened(1e-5 * rng.standard_normal((V, D)), cap=0.0), scale * rng.uniform(-1, 1, (3, D)), 1, 64)


@pytest.mark.parametrize("kind", ["negative", "subnormal", "zero", "of all sizes"])
def test_scales_of_any_kind(rng: np.random.Generator, kind: str) -> None:
    whole = packed(rng.standard_normal((1000, 100)), "q8_planes").copy()
    blocks = whole[: 32 * 4 * 576].reshape(-1, 576)
    scales = rng.standard_normal((len(blocks), 32)) * 1e-3
    if kind == "negative":
        scales = -np.abs(scales)
    elif kind == "subnormal":
        scales *= 1e-4
    elif kind == "zero":
        scales[rng.random(scales.shape) < 0.5] = 0
    else:
        scales *= 10 ** rng.uniform(-3, 3, scales.shape)
    blocks[:, 512:] = scales.astype("<f2").view(np.uint8)
    check(opened(whole, shape=(1000, 100)), 0.1 * rng.standard_normal((9, 100)), 1, 64, 1000)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_told(rng: np.random.Generator, bad: float) -> None:
    hidden = 0.1 * rng.standard_normal((3, D)).astype(np.float32)
    hidden[1, 5] = bad
    engine = opened(rng.standard_normal((V, D)))
    for rows, is_bad in ((slice(0, 3), [False, True, False]), (slice(1, 2), [True]), (slice(1, 3), [True, False])):
        values = engine.likeliest(hidden[rows], 4)[1]
        np.testing.assert_array_equal(np.isnan(values).all(1), is_bad)
        np.testing.assert_array_equal(np.isnan(values).any(1), is_bad)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_scale_that_is_no_number_is_told(rng: np.random.Generator, bad: float) -> None:
    whole = packed(rng.standard_normal((V, D)), "q8_planes").copy()
    whole[512 + 2 * 9 : 512 + 2 * 10] = np.array([bad], "<f2").view(np.uint8)  # of row 9
    hidden = 0.1 * np.abs(rng.standard_normal((1, D))).astype(np.float32)
    engine = opened(whole, shape=(V, D))
    assert np.isnan(engine.likeliest(hidden, 4)[1]).all() == (not np.isfinite(engine.top(hidden, 4)[2]).all())


def test_no_other_matrix_may_stand_in_planes() -> None:
    pack = pebble()
    name = "model.language_model.layers.0.self_attn.q_proj.weight"
    view = pack.tensors[name]
    data = packed(np.ones((view.rows, view.cols)), "q8_planes").data
    program = lower(pack.config.text, {**pack.tensors, name: replace(view, format="q8_planes", buffer=data)})
    with pytest.raises(gemsmith.GemsmithError, match="only the head"):
        CpuRuntime(pack.config, program, threads=1)
