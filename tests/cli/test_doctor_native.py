"""`gemsmith doctor` on packs, GGUF files and whatever else the native engine serves: true numbers, and damage found."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gemsmith import kernels
from gemsmith.cli.doctor import checkpoint, native, surroundings
from gemsmith.cli.doctor.finding import Finding
from gemsmith.cli.doctor.weights import scan
from gemsmith.engine import packing
from gemsmith.errors import NativeEngineError
from gemsmith.formats import open_checkpoint
from gemsmith.formats.gguf import open_gguf
from gemsmith.formats.pack import open_pack, sizes_of, write_pack
from gemsmith.formats.tensor import TensorView
from gemsmith.hub.names import resolve
from gemsmith.runtime import probe, selftest
from gemsmith.runtime.selftest import Check
from gemsmith.tokenizer import json_vocabulary
from gemsmith.tokenizer.table import FILE_NAME as TABLE

pytestmark = pytest.mark.skipif(not kernels.available(), reason="the native engine was not built")


def look(model: Path | str, *, quick: bool = False) -> tuple[dict[str, Finding], dict[str, Any]]:
    """Findings by subject, the worst of several, and the facts."""
    facts: dict[str, Any] = {}
    order = ("ok", "note", "wrong")
    out: dict[str, Finding] = {}
    for finding in checkpoint.look_at_model(facts, str(model), quick=quick, say=lambda _: None):
        if finding.subject not in out or order.index(finding.mark) > order.index(out[finding.subject].mark):
            out[finding.subject] = finding
    return out, facts


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """pebble in a mix of 4 and 2 bits."""
    path = resolve("pebble").path
    assert path is not None
    write_pack(tmp_path / "mix", open_checkpoint(path), "mix", threads=1)
    return tmp_path / "mix"


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    """pebble as a GGUF file."""
    pytest.importorskip("gguf")
    from bench.gguf_writing import write_gguf

    path = resolve("pebble").path
    assert path is not None
    source, vocabulary = open_checkpoint(path), json_vocabulary.read(path / "tokenizer.json")
    with warnings.catch_warnings(action="ignore"):
        return write_gguf(tmp_path / "pebble.gguf", source.config, source, vocabulary, "Q4_0")


@pytest.mark.slow
@pytest.mark.parametrize("is_large", [False, True])
def test_a_pack(pack: Path, is_large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "IN_MEMORY", 0 if is_large else packing.IN_MEMORY)
    got, facts = look(pack)
    assert {finding.mark for finding in got.values()} == {"ok"}
    assert "packed as mix" in got["tensors"].text and {"q4", "q2", "f32", "q4_0"} == set(facts["formats"])
    assert got["engine"].text.startswith(f"the native engine ({kernels.isa()}, ") and facts["engine"]["threads"] >= 1
    sizes = sizes_of(open_pack(pack))
    assert facts["disk"]["table"] == sizes.table and facts["memory"]["weights"] == sizes.resident
    assert facts["read_per_token"] < sizes.resident + 1000 and facts["context"] == 2048
    assert "every checksum is right" in got["weights"].text and "0.0e+00" in got["numbers"].text


@pytest.mark.slow
def test_a_pack_with_a_damaged_vocabulary(pack: Path) -> None:
    data = bytearray((pack / TABLE).read_bytes())
    data[-9] ^= 1
    (pack / TABLE).write_bytes(data)
    got, _ = look(pack)
    assert got["tokenizer"].mark == "wrong" and got["weights"].mark == "ok" and "numbers" not in got


@pytest.mark.slow
def test_a_gguf_file(gguf: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    got, facts = look(gguf)
    assert {finding.mark for finding in got.values()} == {"ok"} and facts["kind"] == "gguf"
    assert "Q4_0" in facts["dtypes"] and "3.06 MB read: every number is finite" in got["weights"].text
    assert "pack" not in got and facts["disk"]["table"] == 0, "a small one is packed in memory, table and all"
    monkeypatch.setattr(packing, "IN_MEMORY", 0)
    got, facts = look(gguf)
    assert "made at the first run" in got["pack"].text and "not computed" in got["numbers"].text
    assert not home.exists() or not list(home.rglob("*.safetensors")), "nothing is changed"
    assert facts["disk"]["table"] > 0
    packing.packed(open_gguf(gguf), gguf)
    got, _ = look(gguf)
    assert "there: " in got["pack"].text and "0.0e+00" in got["numbers"].text
    (told,) = [each for each in surroundings.look_around({}) if each.subject == "packs"]
    assert told.text.startswith("1 pack made at first use, ")


@pytest.mark.slow
def test_what_does_not_fit(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "available_memory", lambda: 1 << 20)
    got, _ = look(pack)
    assert got["memory"].mark == "wrong" and "keys and values in bf16" in got["memory"].text and "numbers" not in got


@pytest.mark.slow
def test_without_the_engine_a_pack_cannot_run(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise NativeEngineError()

    monkeypatch.setattr(kernels, "available", lambda: False)
    monkeypatch.setattr(kernels, "native", absent)
    got, _ = look(pack, quick=True)
    assert got["engine"].mark == "wrong" and "install a C++ compiler" in got["engine"].text


@pytest.mark.parametrize("dtype, nbytes, at", [("Q4_0", 18, 0), ("Q8_0", 34, 0), ("Q6_K", 210, 208)])
def test_scales_of_blocks_are_looked_at(dtype: str, nbytes: int, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gemsmith.cli.doctor.weights.CHUNK", 1000)
    blocks = np.full((40, nbytes), 255, np.uint8)  # all ones: a NaN wherever a scale is
    numbers = {"Q6_K": 256}.get(dtype, 32)

    def scanned() -> Any:
        return scan({"x": TensorView("x", (40, numbers), dtype, memoryview(blocks.tobytes()))}, lambda _: None)

    assert scanned().not_finite == {"x": 40} and scanned().nbytes == 40 * nbytes
    blocks[:, at : at + 2] = np.float16(0.5).reshape(1).view(np.uint8)
    blocks[7, at : at + 2] = np.float16(np.inf).reshape(1).view(np.uint8)
    assert scanned().not_finite == {"x": 1}
    blocks[:, at : at + 2] = 0
    assert scanned().all_zero == ["x"] and not scanned().not_finite


def test_a_native_engine_that_is_wrong_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(check: Check) -> Finding:
        monkeypatch.setattr(selftest, "check_native", lambda *_: [check])
        subject: Any = type("S", (), {"name": "m"})
        (finding,) = native.self_test([subject], {"m": None}, {}, lambda _: None)
        return finding

    assert told(Check("m", "one shot", 1e-6, 5e-4)).mark == "ok"
    bad = told(Check("m", "in chunks", 0.2, 5e-4))
    monkeypatch.setattr(selftest, "check_native_alone", lambda _: Check("m", "one shot", 0.1, 5e-4))
    (alone,) = native.self_test_alone({}, lambda _: None)
    assert alone.mark == "wrong" and "m, one shot: off by 10.0%" in alone.text
    assert bad.mark == "wrong" and "m, in chunks: off by 20.0% of the spread" in bad.text and bad.fix
