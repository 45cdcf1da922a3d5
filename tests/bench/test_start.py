"""Starts are timed from outside, and `--check` tells which limit is broken."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from gemsmith import kernels

PATH = Path(__file__).parents[2] / "bench" / "start.py"


@pytest.fixture
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_start", PATH)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.skipif(not kernels.available(), reason="the native engine is not built")
def test_a_real_start(bench: ModuleType) -> None:
    done = bench.gemsmith("run", "pebble", "What is 17 + 25?")
    assert done.said == b"42\n" and 0 < done.first_s <= done.whole_s < 60 and done.peak_bytes > 1 << 24
    with pytest.raises(SystemExit, match="no model"):
        bench.gemsmith("run", "no-such-model", "Hello")


@pytest.mark.parametrize("seconds, status", [(0.3, 0), (0.9, 1)])
def test_limits(
    bench: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    seconds: float,
    status: int,
) -> None:
    asked = []

    def gemsmith(*words: str) -> object:
        asked.append(words[0])
        return bench.Done(seconds, seconds, int(1e9), b'{"generation_tokens_per_s": 600}')

    monkeypatch.setattr(bench, "gemsmith", gemsmith)
    assert bench.main(["--pack", "p", "--source", "s", "--rounds", "2", "--check"]) == status
    assert sorted(asked) == ["bench", "quantize", *["run"] * 6]
    said = capsys.readouterr()
    assert "memory of packing" in said.out and ("first letter of the pack, s: 0.900, at most 0.8" in said.err) == bool(
        status
    )
    assert bench.main(["--rounds", "1"]) == 0, "nothing is asked"
