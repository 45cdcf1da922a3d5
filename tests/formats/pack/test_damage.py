"""Packs that are damaged, or made to hurt: found, named, and never half used."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gemsmith.errors import GemsmithError, ModelFileError, TensorFileError, TensorMismatchError
from gemsmith.formats.header import parse_header
from gemsmith.formats.pack import PACK_FILE, damaged, open_pack, verify_pack, write_pack
from gemsmith.formats.pack.head import UNKNOWN_SUM
from tests.formats.pack.small import small

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_pack(tmp_path / "pack", small(), "mix")
    return tmp_path / "pack"


@pytest.mark.parametrize("trials", [300, pytest.param(10_000, marks=pytest.mark.long)])
def test_a_flipped_bit_is_always_found(tmp_path: Path, trials: int) -> None:
    source = small()
    source.config = replace(source.config, vision=None, audio=None)
    pack, rng = write_pack(tmp_path / "pack", source, "mix"), random.Random(0)
    file = tmp_path / "pack" / PACK_FILE
    start = min(view.file_offset for view in pack.tensors.values())
    size = file.stat().st_size
    with open(file, "r+b", buffering=0) as opened:
        for trial in range(trials):
            at, bit = rng.randrange(start, size), 1 << rng.randrange(8)
            opened.seek(at)
            byte = opened.read(1)[0]
            opened.seek(at)
            opened.write(bytes([byte ^ bit]))
            assert len(damaged(pack)) == 1, (trial, at, bit)
            opened.seek(at)
            opened.write(bytes([byte]))
    assert not damaged(pack)


def test_a_flipped_bit_of_the_header_is_found_at_opening(folder: Path) -> None:
    file, rng = folder / PACK_FILE, random.Random(0)
    data = bytearray(file.read_bytes())
    end = 8 + int.from_bytes(data[:8], "little")
    for _ in range(100):
        at, bit = rng.randrange(end), 1 << rng.randrange(8)
        data[at] ^= bit
        file.write_bytes(data)
        with pytest.raises(ModelFileError):
            open_pack(folder)
        data[at] ^= bit
    file.write_bytes(data)
    verify_pack(folder)


def test_a_damaged_tensor_is_named(folder: Path) -> None:
    view = open_pack(folder).tensors["model.language_model.layers.2.self_attn.o_proj.weight"]
    data = bytearray((folder / PACK_FILE).read_bytes())
    data[view.file_offset + 5] ^= 1
    (folder / PACK_FILE).write_bytes(data)
    with pytest.raises(TensorFileError, match=r"1 tensor not as written \(model\.language_model\.layers\.2\.self_attn"):
        verify_pack(folder)


@pytest.mark.parametrize("keep", [0, 5, 100, 5000, -4096, -1])
def test_a_file_cut_short_is_refused(folder: Path, keep: int) -> None:
    data = (folder / PACK_FILE).read_bytes()
    (folder / PACK_FILE).write_bytes(data[:keep])
    with pytest.raises(TensorFileError):
        open_pack(folder)


def test_bytes_after_the_end_are_refused(folder: Path) -> None:
    with open(folder / PACK_FILE, "ab") as file:
        file.write(b"\0" * 4096)
    with pytest.raises(TensorFileError, match="after its last tensor"):
        open_pack(folder)


def rewritten(folder: Path, change: Callable[[dict, dict], None]) -> None:
    """Change what the header says, with a sum that is right: as whoever means harm would."""
    file = folder / PACK_FILE
    data = file.read_bytes()
    _, metadata, end = parse_header(memoryview(data), "")
    header = json.loads(data[8:end])
    said = json.loads(metadata["gemsmith"])
    change(header, said)
    header["__metadata__"] = {"header_sha256": UNKNOWN_SUM, "gemsmith": json.dumps(said, separators=(",", ":"))}
    items = sorted(header.items(), key=lambda item: item[0] != "__metadata__")
    text = json.dumps(dict(items), separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % 4096)
    new = len(text).to_bytes(8, "little") + text
    new = new.replace(UNKNOWN_SUM.encode(), hashlib.sha256(new).hexdigest().encode(), 1)
    file.write_bytes(new + data[end:])


Q = "model.language_model.layers.0.self_attn.q_proj.weight"
NORM = "model.language_model.norm.weight"


def test_a_header_written_anew_without_a_change_is_read(folder: Path) -> None:
    rewritten(folder, lambda header, said: None)
    verify_pack(folder)


@pytest.mark.parametrize(
    "change, error, words",
    [
        (lambda h, s: s["tensors"].pop(Q), TensorMismatchError, "missing"),
        (lambda h, s: s["tensors"].update(other=s["tensors"][Q]), TensorMismatchError, "unexpected"),
        (lambda h, s: h.update({"other": h.pop(Q)}), TensorMismatchError, "missing"),
        (lambda h, s: s["tensors"][Q].__setitem__(0, "f32"), TensorFileError, "its format f32 asks"),
        (lambda h, s: s["tensors"][Q].__setitem__(0, "q5"), TensorFileError, "'q5'"),
        (lambda h, s: s["tensors"][Q].__setitem__(1, "table"), TensorFileError, "'table'"),
        (lambda h, s: s["tensors"][NORM].__setitem__(0, "bf16"), TensorFileError, "'bf16'"),
        (lambda h, s: s["tensors"][Q].__setitem__(2, 1 << 60), TensorMismatchError, "wrong shape"),
        (lambda h, s: s["tensors"][Q].__setitem__(3, -1), TensorMismatchError, "wrong shape"),
        (lambda h, s: s["tensors"][Q].__setitem__(4, 2), TensorMismatchError, "wrong shape"),
        (lambda h, s: s["tensors"][Q].__setitem__(4, "1"), TensorFileError, "cannot be understood"),
        (lambda h, s: s["tensors"].__setitem__(Q, None), TensorFileError, "cannot be understood"),
        (lambda h, s: s.update(version=2), TensorFileError, "version 2"),
        (lambda h, s: s.pop("policy"), TensorFileError, "policy"),
        (lambda h, s: s.update(files=[]), TensorFileError, "of its files what cannot"),
        (lambda h, s: s["files"].update({"config.json": 1}), TensorFileError, "of its files what cannot"),
        (lambda h, s: s.update(tensors=[]), TensorFileError, "policy or tensors"),
        (lambda h, s: h[Q].update(dtype="I8"), TensorFileError, "stores tensor"),
        (lambda h, s: h[Q].update(data_offsets=[0, 1 << 62]), TensorFileError, "offsets"),
    ],
)
def test_a_header_that_lies_is_refused(
    folder: Path, change: Callable[[dict, dict], None], error: type[GemsmithError], words: str
) -> None:
    rewritten(folder, change)
    with pytest.raises(error, match=re.escape(words) or None):
        open_pack(folder)


def test_another_models_config_is_refused(folder: Path) -> None:
    rewritten(folder, lambda header, said: said["files"].clear())  # which would tell it before
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["num_attention_heads"] = 8
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(TensorMismatchError):
        open_pack(folder)


def test_a_plain_checkpoint_under_the_name_of_a_pack_is_refused(folder: Path) -> None:
    from gemsmith.formats import write_tensors

    source = small()
    write_tensors(folder / PACK_FILE, source.tensors)
    with pytest.raises(TensorFileError, match="no pack of gemsmith's"):
        open_pack(folder)
    (folder / PACK_FILE).unlink()
    with pytest.raises(ModelFileError, match="gemsmith quantize"):
        open_pack(folder)
