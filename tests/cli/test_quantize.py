"""`gemsmith quantize`: what it writes, says and refuses, and what the other commands make of a pack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.gguf_writing import AS_LLAMA_QUANTIZE, write_gguf
from gemsmith.cli.main import main
from gemsmith.cli.quantize import folder_name
from gemsmith.formats.pack import PACK_FILE, open_pack
from tests.formats.gguf.test_q6_k import weights, wide


@pytest.mark.slow
def test_a_model_is_packed_shown_and_examined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["quantize", "pebble"]) == 0
    out, err = capsys.readouterr()
    assert out == "pebble-q4\n"
    assert "10.5 MB are now 3.1 MB (q4)" in err
    assert open_pack("pebble-q4").policy == "q4"

    assert main(["quantize", "pebble"]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["quantize", "pebble", "--to", "mix", "--output", "pebble-q4", "--force", "--quiet"]) == 0
    assert capsys.readouterr() == ("pebble-q4\n", "")
    assert open_pack("pebble-q4").policy == "mix"

    assert main(["quantize", "pebble-q4"]) == 1
    assert "a pack already" in capsys.readouterr().err
    assert main(["show", "pebble-q4"]) == 0
    assert "query heads" in capsys.readouterr().out


@pytest.mark.slow
def test_a_gguf_keeps_its_values_and_one_is_told_what_it_cannot_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    kinds = {"x-Q8_0.gguf": {}, "x-Q4_0.gguf": AS_LLAMA_QUANTIZE}
    for name, some in kinds.items():
        write_gguf(tmp_path / name, wide(), weights(wide()), None, "Q8_0", kinds=some)
        assert main(["quantize", name]) == 0
        out, err = capsys.readouterr()
        assert out == f"{folder_name(name)}-exact\n" and open_pack(out.strip()).policy == "exact"
        told = "model.language_model.embed_tokens.weight: from Q6_K to q8, 0.5 % from what it was"
        assert (told in err) == bool(some), err
    assert main(["quantize", "x-Q4_0.gguf", "--to", "q4"]) == 0
    assert "Q6_K" not in capsys.readouterr().err


@pytest.mark.slow
def test_doctor_finds_a_flipped_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "pack"
    assert main(["quantize", "pebble", "--output", str(folder), "--to", "q8", "--quiet"]) == 0
    capsys.readouterr()
    main(["doctor", str(folder), "--json"])
    section = json.loads(capsys.readouterr().out)["sections"][0]
    assert "every checksum is right" in " ".join(finding["text"] for finding in section["findings"])

    name = "model.language_model.layers.3.mlp.down_proj.weight"
    data = bytearray((folder / PACK_FILE).read_bytes())
    data[open_pack(folder).tensors[name].file_offset + 99] ^= 16
    (folder / PACK_FILE).write_bytes(data)
    assert main(["doctor", str(folder), "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)["sections"][0]["facts"]
    assert facts["damaged"] == [name]


@pytest.mark.parametrize(
    "source, words",
    [("tiny-random-e2b", "no weights to pack"), ("nothing-of-the-kind", "no model"), (".", "holds no weights")],
)
def test_what_cannot_be_packed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], source: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["quantize", source]) == 1
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "source, name",
    [
        ("pebble", "pebble"),
        ("google/gemma-4-E2B-it@main", "gemma-4-E2B-it-main"),
        ("./models/mine/", "mine"),
        ("gemma-4-E2B-it-Q4_0.gguf", "gemma-4-E2B-it-Q4_0"),
        ("/", "model"),
        ("..", "model"),
    ],
)
def test_a_pack_is_named_after_its_model(source: str, name: str) -> None:
    assert folder_name(source) == name
