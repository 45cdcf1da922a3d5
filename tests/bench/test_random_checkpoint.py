"""Random checkpoints are whole models of their size, in either format, whose numbers are of a sane size."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from bench.random_tensors import spread
from gemsmith.config import preset
from gemsmith.config.tensors import EMBEDDING
from gemsmith.formats import open_checkpoint
from gemsmith.formats.gguf import open_gguf
from gemsmith.formats.pack.plan import TABLE
from gemsmith.tokenizer import load_tokenizer
from tests.formats.gguf.small import text_only
from tests.formats.gguf.test_q6_k import wide

pytestmark = pytest.mark.slow
PATH = Path(__file__).parents[2] / "bench" / "random_checkpoint.py"
PREFIX = "model.language_model."


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_random_checkpoint", PATH)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("size", ["e2b", "12b", "26b-a4b", "31b"])
def test_a_gguf_of_each_kind(bench: ModuleType, tmp_path: Path, size: str) -> None:
    out = tmp_path / "x.gguf"
    assert bench.main([f"tiny-random-{size}", str(out)]) == 0
    checkpoint = open_gguf(out)
    assert checkpoint.config.text == text_only(f"tiny-random-{size}", "bfloat16").text
    assert checkpoint[f"{PREFIX}embed_tokens.weight"].dtype == "Q8_0"
    assert checkpoint[f"{PREFIX}layers.0.mlp.gate_proj.weight"].dtype == "Q4_0"
    assert all(np.isfinite(view.numpy()).all() for view in checkpoint.values())
    assert load_tokenizer(out).encode("what is it\n") and [path.name for path in tmp_path.iterdir()] == ["x.gguf"]


@pytest.mark.parametrize("kind", ["q4_0", "q6_k", "q8_0", "bf16", "f16", "f32"])
def test_numbers_are_as_large_as_was_meant(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    out = tmp_path / "x.gguf"
    if kind == "q6_k":
        config = replace(preset("pebble"), text=wide().text)  # rows of whole super-blocks
        monkeypatch.setattr(bench, "preset", lambda _: config)
    bench.main(["pebble", str(out), "--type", kind, "--embedding-type", kind])
    if kind == "q6_k":
        assert {open_gguf(out)[name].dtype for name in (EMBEDDING, TABLE)} == {"Q6_K"}
    for name, view in open_gguf(out).items():
        mean, deviation = spread(name, view.shape, open_gguf(out).config.text)
        array = view.numpy()
        if array.size > (100_000 if view.dtype == "Q6_K" else 10_000):  # of which 256 share a scale
            assert abs(array.mean() - mean) < 0.04 * deviation and abs(array.std() / deviation - 1) < 0.04, name


def test_a_seed_is_a_file(bench: ModuleType, tmp_path: Path) -> None:
    files = []
    for seed in ("1", "1", "2"):
        bench.main(["tiny-random-e4b", str(tmp_path / "x.gguf"), "--seed", seed])
        data = (tmp_path / "x.gguf").read_bytes()
        files.append(data[data.index(b"rope_freqs") :])
    assert files[0] == files[1] != files[2]


def test_safetensors(bench: ModuleType, tmp_path: Path) -> None:
    assert bench.main(["tiny-random-e2b", str(tmp_path / "x"), "--format", "safetensors"]) == 0
    checkpoint = open_checkpoint(tmp_path / "x")
    assert checkpoint.config.is_text_only and {view.dtype for view in checkpoint.values()} == {"BF16"}
    assert checkpoint.tokenizer_path and load_tokenizer(checkpoint.tokenizer_path).encode("what is it")
    with pytest.raises(SystemExit):
        bench.main(["tiny-random-e2b", str(tmp_path / "y"), "--format", "safetensors", "--type", "q4_0"])


def test_a_vocabulary_from_elsewhere(bench: ModuleType, tmp_path: Path) -> None:
    bench.main(["tiny-random-e2b", str(tmp_path / "a.gguf")])
    bench.main(["tiny-random-31b", str(tmp_path / "b.gguf"), "--vocabulary", str(tmp_path / "a.gguf")])
    assert load_tokenizer(tmp_path / "b.gguf").encode("abc") == load_tokenizer(tmp_path / "a.gguf").encode("abc")


def test_nothing_half_written(bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "chunks", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        bench.main(["tiny-random-e2b", str(tmp_path / "x.gguf")])
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(bench.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(SystemExit, match=r"takes .* GB, and .* has 0.0 GB free"):
        bench.main(["tiny-random-e2b", str(tmp_path / "x.gguf")])


def test_logits_are_spread_and_differ_from_token_to_token(bench: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    import gemsmith

    bench.main(["pebble", str(tmp_path / "x.gguf")])
    logits = gemsmith.load(tmp_path / "x.gguf", device="cpu").logits([2, *range(400, 430)])
    assert np.isfinite(logits).all() and 1.5 < logits.std() < 6
    assert len(set(logits.argmax(-1).tolist())) > 15
