"""The native engine against a plain reference that rounds as it does; its laws: chunks, batches, threads, forks."""

from __future__ import annotations

import numpy as np
import pytest

from gemsmith import kernels
from gemsmith.config import ModelConfig, preset
from gemsmith.formats.pack import Pack, pack_in_memory
from gemsmith.runtime.cpu import CpuRuntime, lower
from gemsmith.runtime.cpu import engine as cpu_engine
from gemsmith.runtime.protocol import Run

if not kernels.available():
    pytest.skip("the native engine is not built", allow_module_level=True)
pytest.importorskip("torch")

from gemsmith.formats import open_checkpoint
from gemsmith.hub.names import DEFAULT_TOKENIZER
from gemsmith.tokenizer import load_tokenizer
from tests.model.whole import save_random
from tests.runtime.cpu.emulated import Emulated, Rounding
from tests.runtime.cpu.lanes import engine_codes

SIZES = ("e2b", "e4b", "12b", "26b-a4b", "31b")
POLICIES = ("exact", "q8", "q4", "mix")
LENGTH = 40  # tokens of a prompt, more than a window
TIE = 1e-3  # steps of an 8-bit code; a float of 127 of them is 8e-6 exact, and sums in another order differ by a few


@pytest.fixture(scope="module", params=SIZES)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> object:
    folder = tmp_path_factory.mktemp("cpu") / "model"
    save_random(preset(f"tiny-random-{request.param}"), 3, folder, sharpness=0.2)
    return open_checkpoint(folder)


def packed(checkpoint: object, policy: str) -> Pack:
    return pack_in_memory(checkpoint, policy)  # type: ignore[arg-type]


def opened(pack: Pack, **options: object) -> CpuRuntime:
    return CpuRuntime(pack.config, lower(pack.config.text, pack.tensors, dtype="float32"), **options)  # type: ignore[arg-type]


def prompt(config: ModelConfig, length: int, seed: int = 0) -> list[int]:
    return np.random.default_rng(seed).integers(300, 4000, length).tolist()


def logits(runtime: CpuRuntime, ids: list[int]) -> np.ndarray:
    sequence = runtime.new()
    out = runtime.step([Run(sequence, ids, range(len(ids)))]).logits
    runtime.free(sequence)
    return out


def check_against_reference(pack: Pack, prompts: list[list[int]]) -> None:
    """Every 8-bit code is the rounding of the reference's own number, ties aside; and with those, all logits agree."""
    runtime, reference = opened(pack, threads=2, kv="f32"), Emulated(pack)
    num_codes = num_ties = 0
    for ids in prompts:
        hidden, codes = engine_codes(pack, ids)
        rows = runtime.step([Run(runtime.new(), ids, range(len(ids)))])
        np.testing.assert_array_equal(rows.hidden, hidden, err_msg="these codes are not those behind the logits")
        rounding = Rounding(codes)
        expected = reference.logits(ids, rounding)
        assert rounding.is_used_up() and rounding.furthest <= 0.5 + TIE
        assert expected.std() > 0.3
        np.testing.assert_allclose(rows.logits, expected, rtol=0, atol=1e-3 if pack.policy == "exact" else 1e-4)
        num_codes, num_ties = num_codes + rounding.num_codes, num_ties + rounding.num_others
    assert (num_codes > 0) == (pack.policy != "exact")
    assert num_ties <= 1e-4 * num_codes, "so many are no ties, but another rule"


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
def test_logits_equal_the_plain_reference(checkpoint: object, policy: str) -> None:
    pack = packed(checkpoint, policy)
    check_against_reference(pack, [prompt(pack.config, LENGTH, seed) for seed in range(8)])


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
def test_logits_of_a_trained_model_equal_the_plain_reference(policy: str) -> None:
    pebble = open_checkpoint(DEFAULT_TOKENIZER.parent)
    ids = load_tokenizer(DEFAULT_TOKENIZER).encode("Sort these numbers: 31, 7, 95, 52, 18. What is 17 + 25?\n" * 4)
    assert len(ids) > pebble.config.text.sliding_window
    check_against_reference(packed(pebble, policy), [[pebble.config.text.bos_token_id, *ids]])


@pytest.mark.slow
def test_a_code_that_is_no_rounding_is_found(checkpoint: object) -> None:
    """The engine's word is taken on ties alone: one code of a prompt one step away, and it shows."""
    pack = packed(checkpoint, "q4")
    ids = prompt(pack.config, LENGTH)
    _, codes = engine_codes(pack, ids)
    for name in list(codes)[:: len(codes) // 5]:
        wrong = codes[name].copy()
        wrong[LENGTH // 2, 5] += -1 if wrong[LENGTH // 2, 5] > 0 else 1
        rounding = Rounding(codes | {name: wrong})
        Emulated(pack).logits(ids, rounding)
        assert rounding.furthest > 0.5 + 10 * TIE, name


@pytest.mark.slow
def test_rows_depend_on_nothing_but_their_past(checkpoint: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads, chunks, neighbours in the batch, rows that are wanted: the same bits."""
    pack = packed(checkpoint, "q4")
    ids, other = prompt(pack.config, 70), prompt(pack.config, 33, seed=1)
    runtime = opened(pack, threads=1)
    expected = logits(runtime, ids)
    for threads in (2, 3):
        np.testing.assert_array_equal(logits(opened(pack, threads=threads), ids), expected)
    monkeypatch.setattr(cpu_engine, "CHUNK", 17)
    np.testing.assert_array_equal(logits(runtime, ids), expected)
    a, b = runtime.new(), runtime.new()
    together = runtime.step([Run(b, other, [len(other) - 1]), Run(a, ids, [69, 3])])
    np.testing.assert_array_equal(together.logits[1:], expected[[69, 3]])
    one_by_one = runtime.new()
    for i, token in enumerate(ids[:40]):
        row = runtime.step([Run(one_by_one, [token], [0])])
        np.testing.assert_array_equal(row.logits[0], expected[i])


@pytest.mark.slow
def test_forks_and_trims_go_on_as_if_new(checkpoint: object) -> None:
    pack = packed(checkpoint, "q8")
    runtime = opened(pack, threads=2)
    ids = prompt(pack.config, 50)
    expected = logits(runtime, ids)
    sequence = runtime.new()
    runtime.step([Run(sequence, ids[:30], [])])
    twin = runtime.fork(sequence)
    runtime.step([Run(sequence, prompt(pack.config, 20, seed=5), [])])
    np.testing.assert_array_equal(runtime.step([Run(twin, ids[30:], range(20))]).logits, expected[30:])
    runtime.trim(twin, 45)
    assert runtime.length(twin) == 45
    np.testing.assert_array_equal(runtime.step([Run(twin, ids[45:], range(5))]).logits, expected[45:])
    assert runtime.nbytes(twin) > 0
    runtime.free(twin)
    with pytest.raises(ValueError, match="no sequence"):
        runtime.length(twin)


@pytest.mark.slow
def test_an_interrupted_step_leaves_the_sequence_as_it_was(checkpoint: object, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = packed(checkpoint, "q8")
    calls = iter(range(10))

    def interrupted() -> None:
        if next(calls) == 2:  # before the third chunk
            raise KeyboardInterrupt

    ids = prompt(pack.config, 30)
    runtime = opened(pack, threads=2, check_files=interrupted)
    monkeypatch.setattr(cpu_engine, "CHUNK", 4)
    sequence = runtime.new()
    with pytest.raises(KeyboardInterrupt):
        runtime.step([Run(sequence, ids, [29])])
    assert runtime.length(sequence) == 0


@pytest.mark.slow
def test_the_best_ids_and_the_log_sum(checkpoint: object) -> None:
    pack = packed(checkpoint, "q4")
    runtime = opened(pack, threads=2)
    rows = runtime.step([Run(runtime.new(), prompt(pack.config, 20), [4, 19])])
    full = rows.logits
    ids, values, log_sums = rows.top(9)
    for r in range(2):
        order = np.argsort(-full[r], kind="stable")[:9]
        assert ids[r].tolist() == order.tolist()
        np.testing.assert_array_equal(values[r], full[r][order])
    np.testing.assert_allclose(log_sums, np.log(np.exp(full.astype(np.float64)).sum(-1)), rtol=1e-6)
    assert rows.token_ids.tolist() == full.argmax(-1).tolist()
