"""`gemsmith show`: the config's costs on a page, and as JSON."""

from __future__ import annotations

import json
import os
import struct
import sys
from pathlib import Path

import pytest

from gemsmith.cli.main import main
from gemsmith.config import preset, preset_names
from gemsmith.config.tensors import dead_tensors


def show(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What the command prints, having ended well."""
    assert main(["show", *argv]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def parameters(capsys: pytest.CaptureFixture[str], source: str | Path) -> int:
    return json.loads(show(capsys, str(source), "--json"))["parameters"]


@pytest.mark.parametrize("name", preset_names())
def test_a_page_fits_80_columns(capsys: pytest.CaptureFixture[str], name: str) -> None:
    lines = show(capsys, name).splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line == line.rstrip() for line in lines)


def test_the_page_of_e2b(capsys: pytest.CaptureFixture[str]) -> None:
    page = show(capsys, "e2b")
    for line in (
        "16          sliding            1       256     12,288   those of layer 13\n    15-18, 20-23, 25-28, 30-33",
        "per-layer embedding table                  2,348,810,240    45.8%",
        "whole file                                 5,123,178,979",
        "memory for text weights in bfloat16              9.26 GB",
        "hold it: gemsmith plan e2b",
        "32,768             2.82 GFLOP       7.63 GFLOP       8.43 GFLOP       208 MB",
    ):
        assert line in page


def test_json_of_e2b(capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(show(capsys, "E2B", "--json"))
    assert facts["parameters"] == sum(facts["parameters_by_component"].values()) == 5_123_178_979
    assert facts["config"] == preset("e2b").to_json()
    assert [cost["context"] for cost in facts["costs"]] == [4096, 32_768, 131_072]
    assert facts["layers"][20]["kv_source"] == 13
    assert facts["weight_bytes"] == {"bfloat16": 9_257_138_758, "float32": 18_514_277_516}


def test_a_folder_is_as_good_as_a_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(preset("e4b").to_json()))
    assert parameters(capsys, tmp_path) == parameters(capsys, tmp_path / "config.json") == 7_996_157_418


def test_weights_tell_whether_unused_tensors_are_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config = preset("e2b")
    (tmp_path / "config.json").write_text(json.dumps(config.to_json()))
    with_dead, without = next(iter(dead_tensors(config.text))), "model.language_model.norm.weight"
    counts = []
    for name in (with_dead, without):
        header = json.dumps({name: {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
        (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0")
        counts.append(parameters(capsys, tmp_path))
    assert counts == [5_123_178_979, 5_123_178_979 - 18_880_512]


@pytest.mark.parametrize("source", ["e3b", "no/such/folder", ""])
def test_an_unknown_source_lists_the_known(capsys: pytest.CaptureFixture[str], source: str) -> None:
    assert main(["show", source]) == 1
    assert "known names are e2b, e4b, 12b, 26b-a4b, 31b, pebble" in capsys.readouterr().err


def test_a_folder_without_a_config_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["show", str(tmp_path)]) == 1
    assert "config.json: No such file" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_no_model_and_is_not_waited_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    assert main(["show", str(tmp_path / "pipe.json")]) == 1
    assert "there is no model" in capsys.readouterr().err


def test_a_name_longer_than_any_file_is_no_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "a" * 10_000]) == 1
    err = capsys.readouterr().err
    assert "there is no model 'aaa" in err and len(err) < 1000


def test_a_folders_name_reaches_a_terminal_harmlessly(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "a\x1b]0;owned\x07"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(preset("e2b").to_json()))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main(["show", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "owned" in out and "\x1b" not in out and "\x07" not in out
