"""`gemsmith quantize`: what it writes, says and refuses, and what the other commands make of a pack."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.gguf_writing import AS_LLAMA_QUANTIZE, write_gguf
from gemsmith import kernels
from gemsmith.cli.ending import tidy_ending
from gemsmith.cli.main import main
from gemsmith.cli.quantize import folder_name
from gemsmith.formats.pack import PACK_FILE, open_pack
from tests.formats.gguf.test_q6_k import weights, wide
from tests.formats.pack.test_damage import rewritten

ROOT = Path(__file__).parents[2]


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

    tokenizer = (folder / "tokenizer.json").read_bytes()
    (folder / "tokenizer.json").write_bytes(tokenizer[:-1])
    assert main(["doctor", str(folder), "--json"]) == 1
    section = json.loads(capsys.readouterr().out)["sections"][0]
    assert section["facts"]["changed"] == ["tokenizer.json"]
    assert any("tokenizer.json is not as it was packed" in finding["text"] for finding in section["findings"])
    (folder / "tokenizer.json").write_bytes(tokenizer)

    name = "model.language_model.layers.3.mlp.down_proj.weight"
    data = bytearray((folder / PACK_FILE).read_bytes())
    data[open_pack(folder).tensors[name].file_offset + 99] ^= 16
    (folder / PACK_FILE).write_bytes(data)
    assert main(["doctor", str(folder), "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)["sections"][0]["facts"]
    assert facts["damaged"] == [name]


@pytest.mark.slow
def test_doctor_says_which_packs_have_no_sums_of_small_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pack"
    assert main(["quantize", "pebble", "--output", str(folder), "--to", "q4", "--quiet"]) == 0
    rewritten(folder, lambda header, said: said.pop("files"))
    capsys.readouterr()
    main(["doctor", str(folder), "--json"])
    findings = json.loads(capsys.readouterr().out)["sections"][0]["findings"]
    assert [f["mark"] for f in findings if "its config and tokenizer have no checksums" in f["text"]] == ["note"]


STOPPED = """
import sys, time
from gemsmith.engine import loading, packing
from gemsmith.formats.pack import write
loading.has_torch, packing.IN_MEMORY = lambda: False, 0
content = write.content

def slow(*args):
    for piece in content(*args):
        print("packing", flush=True)
        time.sleep(60)
        yield piece

write.content = slow
from gemsmith.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no such signals there")
@pytest.mark.skipif(not kernels.available(), reason="the native engine was not built")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
@pytest.mark.parametrize("words", [["quantize", "pebble", "--output", "out/pack"], ["run", "pebble", "hi"]])
def test_a_signal_leaves_nothing_behind(tmp_path: Path, words: list[str], name: str) -> None:
    (tmp_path / "stopped.py").write_text(STOPPED)
    program = subprocess.Popen(
        [sys.executable, "stopped.py", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "GEMSMITH_HOME": str(tmp_path / "out")},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert program.stdout is not None and program.stdout.readline() == "packing\n"
    assert any(path.name.startswith(".") and path.is_dir() for path in (tmp_path / "out").rglob("*"))
    number = getattr(signal, name)
    program.send_signal(number)
    _, err = program.communicate(timeout=30)
    assert program.returncode == 128 + number and "stopped; nothing was left behind" in err
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file() and path.name != ".lock"] == []


def test_signals_that_somebody_ignores_stay_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with tidy_ending():
            signal.raise_signal(signal.SIGTERM)
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_second_signal_does_not_disturb_the_tidying_up() -> None:
    tidied = False
    with pytest.raises(SystemExit) as ended, tidy_ending():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            tidied = True
    assert tidied and ended.value.code == 143 and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


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
