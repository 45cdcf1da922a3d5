"""The self-test finds what it is there to find: kernels and runtimes that are wrong by a little, by much, or loudly."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from gemsmith import kernels, ops
from gemsmith.ops.dispatch import Kernel
from gemsmith.runtime import selftest
from gemsmith.runtime.candidates import CANDIDATES, REFERENCE, Candidate, chosen, obstacle
from gemsmith.runtime.expected import EXPECTED, IDS, ROWS
from gemsmith.runtime.protocol import Run
from gemsmith.runtime.selftest import (
    LIMITS,
    WAYS,
    Check,
    check_native,
    check_native_alone,
    check_reference,
    check_runtime,
    compare,
)
from gemsmith.runtime.subjects import KINDS, NUM_TOKENS, Subject, made_tensor, subject
from gemsmith.runtime.torch.kernels import KERNEL_LIMITS, all_kernels, check_kernels, reference_logits

pytestmark = pytest.mark.slow  # runs every subject of the self-test

BFLOAT16 = Candidate("torch", "cpu", "bfloat16")


@pytest.fixture(scope="module")
def e2b() -> Subject:
    return subject("tiny-random-e2b")


@pytest.fixture(scope="module")
def wanted(e2b: Subject) -> np.ndarray:
    logits: np.ndarray = reference_logits(e2b.text, e2b.tensors, e2b.ids)
    return logits


def add_kernel(monkeypatch: pytest.MonkeyPatch, op: str, fn: Callable[..., Any]) -> None:
    """Put a kernel named "bad" that takes every call into the table."""
    kernel = Kernel("bad", "nowhere:fn", supports="nowhere:supports")
    kernel._fn, kernel._supports = fn, lambda *_: True
    monkeypatch.setattr(getattr(ops, op), "kernels", (kernel, *getattr(ops, op).kernels))


needs_native = pytest.mark.skipif(not kernels.available(), reason="the native engine was not built")


@needs_native
def test_the_native_engine_agrees_in_floats_and_in_8_bits(e2b: Subject, wanted: np.ndarray) -> None:
    checks = check_native(e2b, wanted)
    assert len(checks) == 2 * len(WAYS) and all(check.is_ok for check in checks), checks
    assert {check.limit for check in checks} == set(LIMITS.values())


@needs_native
def test_without_torch_the_native_engine_answers_to_upstreams_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [check_native_alone(subject(name)) for name in KINDS]
    assert all(check.is_ok and check.error < 1e-4 for check in checks), checks
    monkeypatch.setitem(EXPECTED, KINDS[0], EXPECTED[KINDS[1]])
    assert not check_native_alone(subject(KINDS[0])).is_ok


@needs_native
def test_a_native_engine_that_is_wrong_is_found(
    e2b: Subject, wanted: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not any(check.is_ok for check in check_native(e2b, wanted * 1.01) if check.limit == LIMITS["float32"])
    assert not any(check.is_ok for check in check_native(e2b, wanted[:, ::-1]))
    monkeypatch.setattr("gemsmith.runtime.cpu.open.WIDEST_HEAD", 2)
    (check,) = check_native(e2b, wanted)
    assert check.way == "loading" and "heads have at most 2" in check.problem


def worst(checks: Sequence[Check]) -> Check:
    return max(checks, key=lambda check: check.error)


def test_weights_are_the_same_everywhere() -> None:
    view = made_tensor("layers.0.mlp.up_proj.weight", (3, 4))
    assert bytes(view.buffer).hex() == "573f91befe3e99bf1ebf96bf373f213fd03e5abeb43e963f"
    assert abs(float(made_tensor("m", (64, 64)).numpy().std()) - 1.5 / 8) < 0.01


def test_every_kind_has_a_prompt_past_its_window() -> None:
    for name in KINDS:
        each = subject(name)
        assert len(each.ids) == NUM_TOKENS > 2 * each.text.sliding_window
        assert max(each.ids) < each.text.num_readable_ids


def test_a_sound_runtime_is_within_a_tenth_of_the_limit(e2b: Subject, wanted: np.ndarray) -> None:
    checks = check_runtime(REFERENCE, e2b, wanted)
    assert [check.way for check in checks] == list(WAYS)
    assert all(check.is_ok and check.agreement == 1 for check in checks)
    assert worst(checks).error < LIMITS["float32"] / 10


def test_bfloat16_is_within_its_own_limit_only(e2b: Subject, wanted: np.ndarray) -> None:
    checks = check_runtime(BFLOAT16, e2b, wanted)
    assert all(check.is_ok for check in checks)
    assert LIMITS["float32"] < worst(checks).error < LIMITS["bfloat16"]


@pytest.mark.parametrize("name", KINDS)
def test_the_reference_says_what_upstream_computed(name: str) -> None:
    each = subject(name)
    check = check_reference(each, reference_logits(each.text, each.tensors, each.ids))
    assert check.is_ok and check.error < 5e-5


@pytest.mark.parametrize("factor, sees", [(1.01, True), (1.001, True), (1.0, False)])
def test_a_norm_that_is_slightly_wrong(
    factor: float, sees: bool, e2b: Subject, wanted: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_kernel(monkeypatch, "rms_norm", lambda *args: ops.reference.rms_norm(*args) * factor)
    checks = check_runtime(REFERENCE, e2b, wanted)
    assert all(check.is_ok != sees for check in checks)
    found = {k.kernel: k for k in check_kernels(e2b.text, e2b.tensors, e2b.ids, dtype="float32", device="cpu")}
    assert (found["bad"].error > KERNEL_LIMITS["float32"]) == sees
    assert found["bad"].num_calls > 0 and found["sdpa"].error < KERNEL_LIMITS["float32"]


def nan(*args: Any) -> torch.Tensor:
    return ops.reference.attention(*args) * float("nan")


def raising(*_: Any) -> torch.Tensor:
    raise RuntimeError("no kernel image is available for execution on the device")


def one_row_wrong(*args: Any) -> torch.Tensor:
    y = ops.reference.attention(*args).clone()
    y[:, -1] = 0
    return y


@pytest.mark.parametrize(
    "broken, problem", [(nan, "NaN or infinity"), (raising, "RuntimeError: no kernel image"), (one_row_wrong, "")]
)
def test_a_broken_attention_kernel(
    broken: Any, problem: str, e2b: Subject, wanted: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_kernel(monkeypatch, "attention", broken)
    checks = check_runtime(REFERENCE, e2b, wanted)
    assert not any(check.is_ok for check in checks)
    assert all(problem in check.problem for check in checks)
    found = {k.kernel: k for k in check_kernels(e2b.text, e2b.tensors, e2b.ids, dtype="float32", device="cpu")}
    assert found["bad"].error > KERNEL_LIMITS["float32"]
    assert bool(found["bad"].problem) == bool(problem)


def test_a_kernel_of_another_dtype_or_shape_is_wrong(e2b: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    for broken in (lambda *a: ops.reference.attention(*a).double(), lambda *a: ops.reference.attention(*a)[:, :1]):
        with monkeypatch.context() as patch:
            add_kernel(patch, "attention", broken)
            found = check_kernels(e2b.text, e2b.tensors, e2b.ids, dtype="float32", device="cpu")
            assert math.isinf(found[0].error)


def test_recording_leaves_the_table_as_it_was(e2b: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    before = ops.attention.reference
    check_kernels(e2b.text, e2b.tensors, e2b.ids, dtype="float32", device="cpu")
    assert ops.attention.reference is before and "sdpa" in all_kernels()


@pytest.mark.parametrize(
    "ways, fault",
    [
        ({"step by step", "in chunks", "beside another"}, lambda run: len(run.ids) == 1),  # decode
        ({"in chunks"}, lambda run: len(run.ids) == 11),
        ({"beside another", "on a fork"}, lambda run: len(run.ids) in (NUM_TOKENS // 2, NUM_TOKENS - NUM_TOKENS // 2)),
    ],
)
def test_a_fault_of_one_way_is_found_in_that_way(
    ways: set[str], fault: Callable[[Run], bool], e2b: Subject, wanted: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runtime that gives the last row of some runs another row's logits."""
    open_runtime = selftest.open_runtime

    class Faulty:
        def __init__(self, runtime: Any) -> None:
            self.runtime = runtime

        def __getattr__(self, name: str) -> Any:
            return getattr(self.runtime, name)

        def step(self, batch: Sequence[Run]) -> Any:
            rows = self.runtime.step(batch)
            if any(map(fault, batch)):
                rows.__dict__["_logits_RV"] = rows._logits_RV.roll(1, -1)
            return rows

    monkeypatch.setattr(selftest, "open_runtime", lambda *args, **options: Faulty(open_runtime(*args, **options)))
    checks = check_runtime(REFERENCE, e2b, wanted)
    assert {check.way for check in checks if not check.is_ok} == ways


def test_a_runtime_that_cannot_be_opened_is_a_problem(e2b: Subject, wanted: np.ndarray) -> None:
    (check,) = check_runtime(Candidate("abacus", "cpu", "float32"), e2b, wanted)
    assert not check.is_ok and "no backend 'abacus'" in check.problem


def test_compare() -> None:
    rng = np.random.default_rng(0)
    wanted = rng.normal(size=(8, 50))
    assert compare(wanted, wanted, "float32") == (0, 0, 1)
    assert math.isinf(compare(wanted[:, :-1], wanted, "float32")[0])
    nan = wanted.copy()
    nan[3, 3] = np.nan
    assert math.isinf(compare(nan, wanted, "float32")[0]) and math.isinf(compare(nan, wanted, "bfloat16")[0])
    one = wanted.copy()
    one[2] += rng.normal(size=50)  # a mixture of experts that chose otherwise for one token
    assert compare(one, wanted, "float32")[0] > 0.5 and compare(one, wanted, "bfloat16")[0] == 0
    error, kl, agreement = compare(wanted[:, ::-1], wanted, "float32")
    assert error > 1 and kl > 0.1 and agreement < 0.5


def test_wrong_numbers_to_compare_with_are_found(e2b: Subject, wanted: np.ndarray) -> None:
    assert not check_reference(e2b, wanted * 1.01).is_ok
    assert not check_reference(e2b, np.full_like(wanted, np.nan)).is_ok


def test_which_candidates_are_here() -> None:
    assert obstacle(REFERENCE) is None
    for each in CANDIDATES:
        if each.device == "cuda" and not torch.cuda.is_available():
            assert obstacle(each) is not None
    from gemsmith.config import preset

    if not torch.cuda.is_available():
        assert chosen(preset("pebble")) == REFERENCE
        assert chosen(preset("12b")) == BFLOAT16


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_upstream_computes_the_expected_numbers(name: str) -> None:
    transformers = pytest.importorskip("transformers")
    from gemsmith.config import preset

    each = subject(name)
    config = transformers.AutoConfig.for_model(**preset(name).to_json())
    model = transformers.AutoModelForImageTextToText.from_config(
        config, dtype=torch.float32, experts_implementation="eager"
    ).eval()
    state = model.state_dict()
    for tensor, view in each.tensors.items():
        state[tensor].copy_(torch.from_numpy(view.numpy().copy()))
    model.model.language_model.set_attn_implementation("eager")
    with torch.inference_mode():
        logits = model.double()(input_ids=torch.tensor([each.ids]), use_cache=False).logits[0].numpy()
    np.testing.assert_allclose(logits[np.ix_(ROWS, IDS)], np.asarray(EXPECTED[name]), atol=2e-6)
