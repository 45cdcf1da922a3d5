"""The comparison of tokenizers runs, agrees, and `--check` finds a broken promise."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from gemsmith.hub.names import DEFAULT_TOKENIZER
from gemsmith.kernels import available

pytestmark = pytest.mark.slow
PATH = Path(__file__).parents[2] / "bench" / "tokenizer.py"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with texts short enough for a test."""
    pytest.importorskip("tokenizers")
    if not available():
        pytest.skip("the native code is not built; install gemsmith where there is a C++ compiler")
    spec = importlib.util.spec_from_file_location("bench_tokenizer", PATH)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_tokenizer", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "LENGTHS", (500, 1000))
    monkeypatch.setattr(module, "texts", lambda: {"prose": PATH.read_text(encoding="utf-8")})
    return module


def test_it_compares_what_agrees(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main([str(DEFAULT_TOKENIZER), "--runs", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {"start", "memory", "encode prose", "decode prose", "spaces"} <= {line[:18].strip() for line in lines}


def test_what_is_behind_is_named(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [bench.Row("start", 2.0, 1.0, "ms"), bench.Row("encode", 2.0, 1.0, "M chars/s")]
    monkeypatch.setattr(bench, "started", lambda *_: rows)
    monkeypatch.setattr(bench, "rates", lambda *_: [bench.Row("decode", 1.0, 2.0, "M chars/s")])
    assert bench.main([str(DEFAULT_TOKENIZER), "--check"]) == 1
    assert capsys.readouterr().err == "behind tokenizers: start, decode\n"
