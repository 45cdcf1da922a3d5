"""Packs written and opened: every tensor is what it was, nothing is half-written, memory stays small."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gemsmith.errors import GemsmithError, ModelFileError
from gemsmith.formats import open_checkpoint
from gemsmith.formats.pack import PACK_FILE, POLICIES, PackedView, open_pack, pack_in_memory, verify_pack, write_pack
from gemsmith.formats.safetensors import TensorFile
from gemsmith.hub.names import resolve
from gemsmith.quant import pack, pack_rows, row_block_bytes, unpack, unpack_rows
from tests.formats.pack.small import floats, small

pytestmark = pytest.mark.slow

SIZES = ("tiny-random-e2b", "tiny-random-26b-a4b", "tiny-random-12b")
GATE, UP = "mlp.gate_proj", "mlp.up_proj"


def matrix(view: PackedView, index: int = 0) -> np.ndarray:
    """One matrix of a packed tensor as float32."""
    data = np.frombuffer(view.buffer, np.uint8).reshape(view.count, -1)[index]
    return unpack(data, view.format, view.rows, view.cols)


def interleaved(gate: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Blocks of 32 rows in turn, the last padded with zeros."""
    blocks = []
    for first in range(0, gate.shape[0], 32):
        for part in (gate, up):
            block = np.zeros((32, gate.shape[1]), np.float32)
            block[: len(part[first : first + 32])] = part[first : first + 32]
            blocks.append(block)
    return np.concatenate(blocks)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", ["BF16", "F32"])
def test_an_exact_pack_holds_every_number(tmp_path: Path, size: str, dtype: str) -> None:
    source = small(size, dtype, intermediate_size=40)
    with_pack = write_pack(tmp_path / "pack", source, "exact")
    for view in with_pack.tensors.values():
        if view.arrangement == "rows":
            np.testing.assert_array_equal(matrix(view), floats(source, view.name))
        elif view.arrangement == "interleaved":
            name = view.name.replace("gate_up_proj", "gate_proj")
            expected = interleaved(floats(source, name), floats(source, name.replace(GATE, UP)))
            np.testing.assert_array_equal(matrix(view), expected)
        elif view.arrangement == "stacked":
            for e, expert in enumerate(floats(source, view.name)):
                half = len(expert) // 2
                both = interleaved(expert[:half], expert[half:]) if "gate_up" in view.name else expert
                np.testing.assert_array_equal(matrix(view, e), both)
        elif view.arrangement == "table":
            rows = np.frombuffer(view.buffer, np.uint8).reshape(view.rows, -1)
            np.testing.assert_array_equal(unpack_rows(rows, view.format, view.cols), floats(source, view.name))
        else:
            np.testing.assert_array_equal(view.as_released().numpy().reshape(view.shape), floats(source, view.name))
            assert view.arrangement == "plain" or view.format == "f32"


@pytest.mark.parametrize("policy", POLICIES)
def test_file_and_memory_hold_the_same(tmp_path: Path, policy: str) -> None:
    source = small()
    written, held = write_pack(tmp_path / "pack", source, policy), pack_in_memory(source, policy)
    assert list(written.tensors) == list(held.tensors)
    for name, view in written.tensors.items():
        other = held.tensors[name]
        assert (view.format, view.rows, view.cols, view.count) == (other.format, other.rows, other.cols, other.count)
        assert bytes(view.buffer) == bytes(other.buffer), name


def test_what_is_packed_is_what_quant_defines(tmp_path: Path) -> None:
    source = small()
    tensors = write_pack(tmp_path / "pack", source, "mix").tensors
    prefix = "model.language_model."
    for name, format in (
        (f"{prefix}layers.0.self_attn.q_proj.weight", "q4"),
        (f"{prefix}layers.5.mlp.down_proj.weight", "q2"),
    ):
        assert tensors[name].format == format
        assert bytes(tensors[name].buffer) == pack(floats(source, name), format).tobytes()
    table = f"{prefix}embed_tokens_per_layer.weight"
    assert bytes(tensors[table].buffer) == pack_rows(floats(source, table), "q4_0").tobytes()
    both = tensors[f"{prefix}layers.0.mlp.gate_up_proj.weight"]
    up = pack(floats(source, f"{prefix}layers.0.mlp.up_proj.weight"), "q4")
    nbytes = row_block_bytes("q4", both.cols)
    assert bytes(both.buffer[nbytes : 2 * nbytes]) == up[:nbytes].tobytes()


def test_the_file_is_aligned_and_a_safetensors_file(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "pack", small(), "q4")
    packed = [view for view in pack.tensors.values() if view.arrangement not in ("vector", "plain")]
    assert packed and all(view.file_offset % 4096 == 0 for view in packed)
    file = TensorFile(tmp_path / "pack" / PACK_FILE)
    assert set(file) == set(pack.tensors)
    data = (tmp_path / "pack" / PACK_FILE).read_bytes()
    for view in pack.tensors.values():
        assert data[view.file_offset : view.file_offset + view.buffer.nbytes] == bytes(view.buffer)


def test_pebble_is_packed_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    source = open_checkpoint(resolve("pebble").path or "")
    pack = write_pack(tmp_path / "pack", source, "q4")
    assert pack.config == source.config
    assert pack.generation_config == source.generation_config
    assert {path.name for path in (tmp_path / "pack").iterdir()} == {
        *("config.json", "generation_config.json", "tokenizer.json", "tokenizer.gemsmith.table", PACK_FILE)
    }
    with pytest.raises(ModelFileError, match="a pack of gemsmith's"):
        open_checkpoint(tmp_path / "pack")
    assert resolve(str(tmp_path / "pack")).kind == resolve(str(tmp_path / "pack" / PACK_FILE)).kind == "pack"


def test_what_is_no_number_leaves_nothing_behind(tmp_path: Path) -> None:
    source = small(dtype="F32")
    name = "model.language_model.layers.4.mlp.up_proj.weight"
    values = floats(source, name).copy()
    values[7, 3] = np.nan
    source.tensors[name] = type(source[name])(name, values.shape, "F32", memoryview(values.tobytes()))
    for policy in ("exact", "mix"):
        with pytest.raises(ModelFileError, match=r"layers\.4\.mlp\.up_proj\.weight holds nan at \[7, 3\]"):
            write_pack(tmp_path / "pack", source, policy)
    assert not list(tmp_path.iterdir())


def test_an_interrupt_leaves_nothing_behind_and_the_old_pack_alone(tmp_path: Path) -> None:
    source = small()
    write_pack(tmp_path / "pack", source, "q8")
    before = (tmp_path / "pack" / PACK_FILE).read_bytes()

    def interrupt(what: str, done: int, total: int) -> None:
        if what == "verifying" or done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pack(tmp_path / "pack", source, "q4", replace=True, progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["pack"]
    assert (tmp_path / "pack" / PACK_FILE).read_bytes() == before
    verify_pack(tmp_path / "pack")


def test_a_folder_is_replaced_only_when_it_is_a_pack_and_one_asks(tmp_path: Path) -> None:
    source = small()
    write_pack(tmp_path / "pack", source, "q8")
    with pytest.raises(ModelFileError, match="--force"):
        write_pack(tmp_path / "pack", source, "q4")
    assert write_pack(tmp_path / "pack", source, "q4", replace=True).policy == "q4"
    (tmp_path / "pack" / "notes.txt").write_text("mine")
    with pytest.raises(ModelFileError, match=r"notes\.txt"):
        write_pack(tmp_path / "pack", source, "q8", replace=True)
    (tmp_path / "model").mkdir()
    shutil.copy(tmp_path / "pack" / "config.json", tmp_path / "model")
    with pytest.raises(ModelFileError, match="no pack"):
        write_pack(tmp_path / "model", source, "q8", replace=True)
    with pytest.raises(GemsmithError, match="there is no packing"):
        write_pack(tmp_path / "new", source, "q5")
    assert not (tmp_path / "new").exists()


MEASURE = """
import json, resource, sys
from gemsmith.config import ModelConfig
from gemsmith.formats import open_checkpoint
from gemsmith.formats.pack import write_pack
source = open_checkpoint(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write_pack(sys.argv[2], source, sys.argv[3], threads=1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is in other units elsewhere")
@pytest.mark.parametrize("policy, doubled", [("exact", 20), ("q4", 17)])
def test_memory_does_not_grow_with_a_tensor(tmp_path: Path, policy: str, doubled: int) -> None:
    from dataclasses import replace

    from gemsmith.config import preset
    from gemsmith.config.tensors import all_tensors
    from gemsmith.formats import save_checkpoint
    from gemsmith.formats.tensor import TensorStream

    config = preset("tiny-random-e2b")
    rows = 1 << doubled
    config = replace(config, text=replace(config.text, vocab_size_per_layer_input=rows, hidden_size_per_layer_input=32))
    some = np.random.default_rng(0).integers(0x3C00, 0x3F00, 1 << 16, dtype=np.uint16).tobytes()

    def buffers(nbytes: int) -> list[bytes]:
        return [some] * (nbytes // len(some)) + [some[: nbytes % len(some)]]

    tensors = {}
    for name, shape in all_tensors(config).items():
        tensors[name] = TensorStream(shape, "BF16", buffers(2 * int(np.prod(shape))))
    save_checkpoint(tmp_path / "large", config, tensors)  # a table of 400 MB; 50 where numpy alone packs it
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "large"), str(tmp_path / "pack"), policy]
    grown = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert grown < 150_000, f"{grown} kB"  # slabs of 2 M numbers, in several types at once
    assert open_pack(tmp_path / "pack").tensors["model.language_model.embed_tokens_per_layer.weight"].rows == rows


@pytest.mark.parametrize("kind, format", [("Q4_0", "q4"), ("Q8_0", "q8"), ("BF16", "bf16")])
def test_a_gguf_keeps_its_values(tmp_path: Path, kind: str, format: str) -> None:
    from gemsmith.formats.gguf import open_gguf
    from tests.formats.gguf.test_checkpoint import written

    source = open_gguf(written(tmp_path, kind=kind))
    pack = write_pack(tmp_path / "pack", source, "exact")
    name = "model.language_model.layers.0.self_attn.q_proj.weight"
    assert pack.tensors[name].format == format
    np.testing.assert_array_equal(matrix(pack.tensors[name]), source[name].numpy())
    assert pack.tokenizer_path is None or pack.tokenizer_path.name == "tokenizer.gemsmith.table"
