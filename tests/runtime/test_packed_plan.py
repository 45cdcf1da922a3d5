"""What the native engine is said to need, and what is refused before it is loaded."""

from __future__ import annotations

import pytest

from gemsmith.config import preset
from gemsmith.errors import GemsmithError
from gemsmith.formats.pack import known_sizes
from gemsmith.runtime import packed_plan, probe
from gemsmith.runtime.cpu.kv import cache_bytes
from gemsmith.runtime.packed_plan import admitted_packed_context, bytes_read, packed_need
from gemsmith.runtime.plan import GROWTH

GB = 10**9
E2B, MOE = preset("e2b"), preset("26b-a4b")
Q4 = known_sizes(E2B, "q4")


def give(patch: pytest.MonkeyPatch, nbytes: int) -> None:
    """A machine with so much free memory."""
    patch.setattr(probe, "available_memory", lambda: nbytes)


def test_the_table_stays_on_the_disk_and_is_not_read_whole() -> None:
    """E2B in 4 bits: 1.3 GB of 35 layers and head, as much again of per-layer embeddings."""
    assert 1.3 * GB < Q4.table < 1.35 * GB and Q4.file > 2.5 * GB
    read = bytes_read(E2B, Q4.tensors)
    assert 1.25 * GB < read < 1.35 * GB
    senses = sum(nbytes for name, nbytes in Q4.tensors.items() if "language_model" not in name)
    assert abs(read + senses - Q4.resident) < 10**5, "a row of the table, and nothing of towers"


def test_a_mixture_reads_the_experts_that_are_chosen() -> None:
    sizes = known_sizes(MOE, "q4")
    experts = sum(nbytes for name, nbytes in sizes.tensors.items() if ".experts." in name)
    text = sum(nbytes for name, nbytes in sizes.tensors.items() if "language_model" in name)
    assert MOE.text.num_experts and MOE.text.top_k_experts
    chosen = MOE.text.top_k_experts / MOE.text.num_experts
    assert bytes_read(MOE, sizes.tensors) == pytest.approx(text - experts * (1 - chosen), rel=1e-6)
    assert sizes.table == 0


def test_what_fits_is_admitted_and_less_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    most = E2B.text.max_position_embeddings
    give(monkeypatch, packed_need(E2B, Q4.resident, most).total)
    assert admitted_packed_context("e2b", E2B, Q4.resident, asked=None) == most
    give(monkeypatch, packed_need(E2B, Q4.resident, 30_000).total)
    with pytest.warns(UserWarning, match=r"hold 30,720 tokens of context, not the 131,072"):
        fitting = admitted_packed_context("e2b", E2B, Q4.resident, asked=None)
    assert packed_need(E2B, Q4.resident, fitting).total <= probe.available_memory()
    assert admitted_packed_context("e2b", E2B, Q4.resident, asked=50_000, kv="q8") == 50_000, "8 bits hold more"


def test_a_refusal_names_what_would_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, packed_need(E2B, Q4.resident, 30_000).total)
    with pytest.raises(GemsmithError) as caught:
        admitted_packed_context("e2b", E2B, Q4.resident, asked=50_000)
    message = str(caught.value)
    fitting = packed_plan.largest_packed_context(E2B, Q4.resident, probe.available_memory())
    assert f"--max-context {fitting} (max_context={fitting})" in message and "--kv q8" in message
    assert f"keys and values in bf16 {cache_bytes(E2B.text, 50_000) / 1e9:.2f} GB" in message
    give(monkeypatch, GB)
    with pytest.raises(GemsmithError, match=r"Try fewer bits .*, a smaller model"):
        admitted_packed_context("e2b", E2B, Q4.resident, asked=None)


def test_the_largest_context_is_found_in_a_few_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    need, looks = packed_plan.packed_need, []
    monkeypatch.setattr(packed_plan, "packed_need", lambda *args: looks.append(args) or need(*args))
    counts = range(GROWTH, E2B.text.max_position_embeddings + 1, GROWTH)
    totals = [need(E2B, Q4.resident, count).total for count in counts]
    for memory in (0, totals[0] - 1, totals[0], totals[40] + 1, totals[-1] - 1, totals[-1], 1 << 50):
        fitting = [count for count, total in zip(counts, totals, strict=True) if total <= memory]
        assert packed_plan.largest_packed_context(E2B, Q4.resident, memory) == max(fitting, default=0)
    assert len(looks) <= 7 * 20


def test_an_unknown_format_names_those_there_are() -> None:
    with pytest.raises(GemsmithError, match="'fp8'; known are bf16, q8, f32"):
        admitted_packed_context("e2b", E2B, Q4.resident, asked=None, kv="fp8")
