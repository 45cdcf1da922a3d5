"""`gemsmith plan`: the bytes that it tells are those of files, weights and caches; what does not fit is an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gemsmith import kernels
from gemsmith.cli.main import main
from gemsmith.engine import packing
from gemsmith.formats.pack import PACK_FILE, open_pack, sizes_of
from gemsmith.runtime import probe
from gemsmith.runtime.cpu import open_cpu_runtime
from gemsmith.runtime.protocol import Run
from tests.hostile.checkpoint import write_checkpoint

needs_native = pytest.mark.skipif(not kernels.available(), reason="the native engine was not built")


@pytest.fixture
def pack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """pebble in 4 bits."""
    assert main(["quantize", "pebble", "--output", str(tmp_path / "p4"), "--quiet"]) == 0
    capsys.readouterr()
    return tmp_path / "p4"


@pytest.mark.slow
@needs_native
def test_the_numbers_of_a_pack_are_its_own(gemsmith_: Callable[..., Any], pack: Path) -> None:
    facts = json.loads(gemsmith_("plan", str(pack), "--kv", "q8", "--max-context", "700", "--json").out)
    opened = open_pack(pack)
    sizes = sizes_of(opened)
    assert facts["disk"]["model"] == (pack / PACK_FILE).stat().st_size and facts["disk"]["table"] == sizes.table
    assert facts["memory"]["weights"] == opened.nbytes - sizes.table
    assert (facts["policy"], facts["kv"], facts["context"], facts["fits"]) == ("q4", "q8", 700, True)
    runtime = open_cpu_runtime(opened, threads=1, kv="q8")
    sequence = runtime.new()
    runtime.step([Run(sequence, [5] * 700, [699])])
    assert facts["memory"]["kv"] == runtime.nbytes(sequence)
    assert facts["total"] == sum(facts["memory"].values()) and facts["packs"] == {}
    row = sizes.table / opened.config.text.vocab_size
    assert facts["read_per_token"] == pytest.approx(facts["memory"]["weights"] + row, abs=1)


@pytest.mark.slow
@needs_native
def test_pages_are_for_people(gemsmith_: Callable[..., Any], pack: Path) -> None:
    for model in (str(pack), "pebble", "e2b", "tiny-random-26b-a4b", "31b"):
        ended = gemsmith_("plan", model)
        assert ended.out.startswith(model) and "weights read for each token" in ended.out
        assert all(len(line) <= 80 for line in ended.out.splitlines()[1:]), ended.out
        assert ended.code == int("error" in ended.err)
    assert "with 2,048 of 2,048 tokens of context" in gemsmith_("plan", str(pack)).out


@pytest.mark.slow
@needs_native
@pytest.mark.filterwarnings("ignore:.*a chat template we do not know")
def test_the_pack_that_a_large_model_becomes_is_told_before_and_after(
    gemsmith_: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "IN_MEMORY", 0)
    monkeypatch.setattr("gemsmith.engine.loading.has_torch", lambda: False)
    model = write_checkpoint(tmp_path / "model", "BF16")
    before = json.loads(gemsmith_("plan", str(model), "--json").out)
    assert not before["disk"]["is_packed"] and not list((tmp_path / "home").rglob(PACK_FILE)), "nothing is changed"
    assert "made at first use" in gemsmith_("plan", str(model)).out
    assert gemsmith_("run", str(model), "--raw", "hi", "--max-tokens", "1").code == 0
    after = json.loads(gemsmith_("plan", str(model), "--json").out)
    (file,) = (tmp_path / "home").rglob(PACK_FILE)
    assert after["disk"]["is_packed"] and after["disk"]["folder"] == before["disk"]["folder"] == str(file.parent.parent)
    assert 0 < file.stat().st_size - after["disk"]["pack"] < 100_000, "but for the header"
    assert after["memory"] == before["memory"]


def test_what_does_not_fit_is_an_error_and_still_told(
    gemsmith_: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "available_memory", lambda: 1 << 20)
    ended = gemsmith_("plan", "pebble")
    assert ended.code == 1 and "does not fit" in ended.out and "Free are 0.00 GB. Try" in ended.err


def test_settings_are_those_of_every_command(gemsmith_: Callable[..., Any]) -> None:
    for command in ("run", "plan", "bench", "eval", "batch", "transcribe"):
        for flag, words in (
            ("--kv=fp8", "argument --kv: must be bf16, q8 or f32, found 'fp8'"),
            ("--threads=0", "argument --threads: must be a whole number from 1 to 1024, found '0'"),
            ("--max-context=many", "argument --max-context: must be a whole number from 1"),
        ):
            ended = gemsmith_(command, "pebble", flag)
            assert ended.code == 2 and words in ended.err, command


@pytest.mark.parametrize(
    "words, said",
    [
        (["no-such-model"], "no model 'no-such-model'"),
        (["someone/something"], "nothing is known of it; to fetch it: gemsmith pull someone/something"),
        (["pebble", "--max-context", "5000"], "max_context must be from 1 to the 2048 tokens"),
    ],
)
def test_what_cannot_be_planned(words: list[str], said: str, gemsmith_: Callable[..., Any]) -> None:
    ended = gemsmith_("plan", *words)
    assert (ended.code, ended.out) == (1, "") and said in ended.err
