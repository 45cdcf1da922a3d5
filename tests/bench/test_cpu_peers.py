"""The comparison alternates, keeps what it measured, and `--check` finds a broken promise."""

from __future__ import annotations

import importlib.util
import json
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gemsmith.kernels.limits import Limits

PATH = Path(__file__).parents[2] / "bench" / "cpu_peers.py"
RATES = {  # tokens/s that keep every promise
    "gemsmith": (500.0, 450.0, 38.0, 35.0),
    "llama.cpp": (59.0, 53.0, 18.0, 11.7),
    "transformers": (52.0, 50.0, 2.2),
}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script, with engines that answer from `RATES` and 30 GB/s of plain reading."""
    spec = importlib.util.spec_from_file_location("bench_cpu_peers", PATH)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_cpu_peers", module)  # where dataclasses look for their annotations
    spec.loader.exec_module(module)
    (tmp_path / "e2b.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(module, "limits_apart", lambda threads: Limits(30e9, 8e11, "avx2"))
    monkeypatch.setattr(module, "output", Engines(module))
    return module


class Engines:
    """Plays the three programs; notes which ran, for what."""

    def __init__(self, module: ModuleType) -> None:
        self.cells = {cell[1:]: i for i, cell in enumerate(module.CELLS)}
        self.ran: list[tuple[str, int]] = []

    def __call__(self, command: list[str]) -> tuple[str, int]:
        flags = dict(pairwise(command))
        if "-fa" in command:
            i = self.cells[int(flags["-p"]), int(flags["-n"]), int(flags["-d"])]
            self.ran.append(("llama.cpp", i))
            return json.dumps([{"avg_ts": RATES["llama.cpp"][i], "build_number": 1, "build_commit": "abc"}]), 4 << 30
        wanted = int(flags["--prompt"]), int(flags["--generate"]), int(flags["--depth"])
        engine = "gemsmith" if "bench" in command else "transformers"
        if wanted[0] == 4032:
            return json.dumps({"peak_rss_bytes": 1_000_000_000}), 0
        i = self.cells[wanted if engine == "gemsmith" or wanted[0] else (0, 64, wanted[2])]
        self.ran.append((engine, i))
        facts: dict[str, Any] = dict.fromkeys(("prompt_tokens_per_s", "generation_tokens_per_s"), RATES[engine][i])
        facts |= {"peak_rss_bytes": 1 << 30, "bandwidth_share": 0.9, "arithmetic_share": 0.6, "isa": "avx2"}
        return json.dumps(facts | {"versions": {"transformers": "5"}}), 0


def run(bench: ModuleType, tmp_path: Path, *words: str) -> int:
    checkpoint = ["--checkpoint", str(tmp_path), "--llama-bench", "llama-bench"]
    status: int = bench.main([str(tmp_path / "e2b.gguf"), *checkpoint, *words])
    return status


def test_engines_take_turns_and_all_is_kept(bench: ModuleType, tmp_path: Path) -> None:
    assert run(bench, tmp_path, "--rounds", "2") == 0
    g, l, t = "gemsmith", "llama.cpp", "transformers"
    first = [(g, 0), (l, 0), (t, 0), (g, 1), (l, 1), (t, 1), (g, 2), (l, 2), (t, 2), (g, 3), (l, 3)]
    second = [(l, 0), (g, 0), (l, 1), (g, 1), (l, 2), (g, 2), (l, 3), (g, 3)]
    assert bench.output.ran == first + second
    (path,) = (tmp_path / "results").glob("*.json")
    kept = json.loads(path.read_text())
    assert len(kept["samples"]) == 19 and kept["versions"]["llama.cpp"] == "1 (abc)"
    assert str(tmp_path) not in path.read_text(), "places of this machine are nobody's business"


def test_the_table(bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(bench, tmp_path, "--rounds", "1", "--pack", "q4=x")
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in lines if line.startswith("| ")}
    assert [cell.strip() for cell in rows["generate 64"]][-3:] == ["2.11", "90%", "30.0 (30.0 to 30.0)"]
    assert rows["memory at its peak, GB"][1].strip() == "4.29" and rows["q4"] == [" 1.00 "]


@pytest.mark.parametrize(
    "engine, cell, rate, told",
    [
        ("gemsmith", 0, 400.0, "prompt of 512, times llama.cpp: 6.780, at least 7"),
        ("llama.cpp", 1, 70.0, "prompt of 2,048, times llama.cpp: 6.429"),
        ("gemsmith", 2, 27.0, "generation, times llama.cpp: 1.500, at least 1.6"),
        ("gemsmith", 3, 32.0, "generation behind 8,192 tokens, of that behind none: 0.842"),
    ],
)
def test_check_finds_a_broken_promise(
    bench: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    engine: str,
    cell: int,
    rate: float,
    told: str,
) -> None:
    packs = ["--pack", "file=x", "--pack", "q4=x", "--pack", "mix=x"]
    assert run(bench, tmp_path, "--rounds", "1", "--check", *packs) == 0
    monkeypatch.setitem(RATES, engine, tuple(rate if i == cell else r for i, r in enumerate(RATES[engine])))
    assert run(bench, tmp_path, "--rounds", "1", "--check", *packs) == 1
    assert told in capsys.readouterr().err


def test_a_partial_run_leaves_the_full_one_of_the_day(bench: ModuleType, tmp_path: Path) -> None:
    run(bench, tmp_path, "--rounds", "1")
    (full,) = (tmp_path / "results").glob("*.json")
    before = full.read_text()
    for _ in range(2):
        run(bench, tmp_path, "--rounds", "2", "--cell", "prompt 512", "--engine", "gemsmith")
    assert full.read_text() == before
    names = {f"{full.stem}{number}.{ending}" for number in ("", "-2", "-3") for ending in ("json", "md")}
    assert {path.name for path in (tmp_path / "results").iterdir()} == names


def test_what_was_asked_for_and_not_measured_is_a_broken_promise(
    bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = ["--rounds", "1", "--check", "--engine", "gemsmith"]
    assert run(bench, tmp_path, *one, "--cell", "prompt 512") == 1
    assert "prompt of 512, times llama.cpp: not measured" in capsys.readouterr().err
    assert run(bench, tmp_path, *one) == 1


def test_what_was_not_asked_for_is_told_and_breaks_nothing(
    bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(bench, tmp_path, "--rounds", "1", "--cell", "prompt 512", "--check") == 0
    assert "GB of memory at 4,096 tokens, mix: not measured, at most 1.1" in capsys.readouterr().err


def test_a_program_that_fails_says_why() -> None:
    spec = importlib.util.spec_from_file_location("bench_cpu_peers_plain", PATH)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        assert module.output([sys.executable, "-c", "print(5)"])[0] == "5\n"
        with pytest.raises(SystemExit, match="ended with 3:\nno such model"):
            module.output([sys.executable, "-c", "import sys; print('no such model', file=sys.stderr); sys.exit(3)"])
    finally:
        del sys.modules[spec.name]
