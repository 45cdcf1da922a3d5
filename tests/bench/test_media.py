"""The committed benchmark runs, its two sides agree, and `--check` can fail."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("PIL")
pytest.importorskip("av")
pytest.importorskip("transformers")
pytestmark = pytest.mark.slow

PATH = Path(__file__).parents[2] / "bench" / "media.py"
SMALL = ["--runs", "1", "--size", "200x150", "--seconds", "1.5"]


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_media", PATH)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_prints_a_row_for_each(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(SMALL) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line.split() for line in lines if line.endswith(tuple("0123456789")) and "ms" in line}
    assert list(rows) == ["JPEG", "PNG", "WebP", "WAV", "MP3"]
    assert all(float(row[-1]) > 0 for row in rows.values())
    assert "transformers 5" in lines[0] and "cores" in lines[0]


def test_check_says_who_is_slower(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for ours, status in ((1.0, 0), (3.0, 1)):
        monkeypatch.setattr(bench, "compared", lambda name, path, runs, ours=ours: bench.Row(name, ours, 2.0))
        assert bench.main([*SMALL, "--check"]) == status
    assert "slower than transformers: JPEG, PNG" in capsys.readouterr().err


def test_results_that_differ_are_not_timed(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    right = bench.picture_here
    monkeypatch.setattr(bench, "picture_here", lambda path: right(path) * 0.9)
    with pytest.raises(SystemExit, match="do not agree"):
        bench.main(SMALL)
