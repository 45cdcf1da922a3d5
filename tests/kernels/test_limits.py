"""The machine's limits: plausible numbers from the native loops, in a process of their own, and a clear word else."""

from __future__ import annotations

import pytest

from gemsmith import kernels
from gemsmith.errors import GemsmithError
from gemsmith.kernels import limits as module
from gemsmith.kernels.limits import limits, limits_apart

needs_native = pytest.mark.skipif(not kernels.available(), reason="the native engine is not built")
SMALL = 64 << 20


@needs_native
@pytest.mark.slow
def test_limits_are_those_of_a_machine() -> None:
    found = limits(1, SMALL)
    assert 1e8 < found.read_bytes_per_s < 1e13
    assert 1e8 < found.int8_ops_per_s < 1e14
    assert found.int8_instruction in ("avx512-vnni", "avx2", "neon-dotprod", "portable")


@needs_native
@pytest.mark.slow
def test_a_process_of_its_own_leaves_no_memory_here() -> None:
    from gemsmith.runtime.probe import peak_memory

    before = peak_memory()
    found = limits_apart(2, 512 << 20)
    assert found.read_bytes_per_s > 1e8
    assert peak_memory() - before < 256 << 20


@needs_native
@pytest.mark.parametrize("threads", [0, -1])
def test_no_threads_measure_nothing(threads: int) -> None:
    native = kernels.native()
    with pytest.raises(ValueError, match=f"at least 1 thread can be measured, not {threads}"):
        native.read_bytes_per_s(threads, SMALL, 1)
    with pytest.raises(ValueError, match=f"at least 1 thread can be measured, not {threads}"):
        native.int8_ops_per_s(threads, 0.01, 1)


@needs_native
@pytest.mark.slow
def test_memory_that_is_not_there_is_told() -> None:
    with pytest.raises(GemsmithError, match=r"takes 4611686018\.4 GB of memory, so close other programs"):
        limits_apart(1, 1 << 62)


def test_without_the_native_engine_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def native() -> None:
        raise kernels.NativeEngineError(None)

    monkeypatch.setattr(module, "native", native)
    for measured in (limits, limits_apart):
        with pytest.raises(GemsmithError, match=r"install a C\+\+ compiler"):
            measured(1)
