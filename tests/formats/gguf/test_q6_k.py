"""Q4_0 files as llama-quantize writes them, with a head and a per-layer table of Q6_K: read, packed, refused."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest

from bench.gguf_writing import AS_LLAMA_QUANTIZE, gguf_name, write_gguf
from gemsmith.config import ModelConfig
from gemsmith.config.tensors import EMBEDDING, text_tensors
from gemsmith.errors import ModelFileError
from gemsmith.formats.gguf import GgufCheckpoint, open_gguf
from gemsmith.formats.pack import Pack, pack_in_memory, write_pack
from gemsmith.formats.pack.plan import TABLE
from gemsmith.formats.tensor import TensorView
from gemsmith.quant import pack, unpack, unpack_rows
from tests.formats.gguf.small import text_only, vocabulary

pytestmark = pytest.mark.slow
DOWN = "model.language_model.layers.0.mlp.down_proj.weight"


def wide() -> ModelConfig:
    """pebble's text model with rows of whole super-blocks, as the released sizes have, and fewer of everything else."""
    config = text_only("pebble")
    text = replace(config.text, hidden_size=256, hidden_size_per_layer_input=32)  # a row of the table: 8 layers, 256
    return replace(config, text=text)


def weights(config: ModelConfig) -> dict[str, TensorView]:
    """Random tensors of this config in float32."""
    numbers, out = np.random.default_rng(0), {}
    for name, shape in text_tensors(config.text).items():
        array = numbers.standard_normal(shape, np.float32) * np.float32(1.0 if len(shape) == 1 else shape[-1] ** -0.5)
        out[name] = TensorView(name, shape, "F32", memoryview(array.tobytes()))
    return out


def as_gguf_reads(path: Path) -> dict[str, tuple[str, np.ndarray]]:
    """Type and values of every tensor, by the `gguf` package."""
    return {
        tensor.name: (tensor.tensor_type.name, gguf.quants.dequantize(tensor.data, tensor.tensor_type))
        for tensor in gguf.GGUFReader(path).tensors
    }


def check(path: Path, made: Pack, checkpoint: GgufCheckpoint) -> None:
    """A pack of an ordinary Q4_0 file against what the `gguf` package reads there."""
    theirs = as_gguf_reads(path)
    for name, view in checkpoint.items():
        kind, values = theirs[gguf_name(name, checkpoint.config.text.num_hidden_layers)]
        assert view.dtype == kind, name
        np.testing.assert_array_equal(view.numpy(), values.reshape(view.shape), strict=True)
    head, values = made.tensors[EMBEDDING], theirs["token_embd.weight"][1]
    assert (head.format, theirs["token_embd.weight"][0]) == ("q8_planes", "Q6_K")
    data = np.frombuffer(head.buffer, np.uint8)
    np.testing.assert_array_equal(data, pack(values, "q8_planes"))
    lost = unpack(data, "q8_planes", head.rows, head.cols) - values
    assert np.sqrt((lost**2).mean() / (values**2).mean()) < 0.006
    table, (kind, values) = made.tensors[TABLE], theirs["per_layer_token_embd.weight"]
    assert (table.format, kind, table.buffer) == ("q6_k", "Q6_K", checkpoint[TABLE].buffer)
    rows = np.frombuffer(table.buffer, np.uint8).reshape(table.rows, -1)
    np.testing.assert_array_equal(unpack_rows(rows, "q6_k", table.cols), values)
    down = made.tensors[DOWN]
    assert (down.format, checkpoint[DOWN].dtype) == ("q4", "Q4_0")
    data = np.frombuffer(down.buffer, np.uint8)
    np.testing.assert_array_equal(unpack(data, "q4", down.rows, down.cols), checkpoint[DOWN].numpy())


def test_an_ordinary_q4_0_file(tmp_path: Path) -> None:
    config = wide()
    path = write_gguf(tmp_path / "x.gguf", config, weights(config), vocabulary(), "Q4_0", kinds=AS_LLAMA_QUANTIZE)
    checkpoint = open_gguf(path)
    check(path, pack_in_memory(checkpoint, "exact"), checkpoint)


def test_as_llama_quantize_writes_it(tmp_path: Path) -> None:
    program = shutil.which("llama-quantize")
    if program is None:
        pytest.skip("llama-quantize is not on the PATH")
    config = wide()
    source = write_gguf(tmp_path / "f16.gguf", config, weights(config), vocabulary(), "F16")
    path = tmp_path / "q4_0.gguf"
    subprocess.run([program, str(source), str(path), "Q4_0", "1"], check=True, capture_output=True)
    checkpoint = open_gguf(path)
    check(path, write_pack(tmp_path / "pack", checkpoint, "exact"), checkpoint)
    whole = tmp_path / "q6_k.gguf"
    subprocess.run([program, str(source), str(whole), "Q6_K", "1"], check=True, capture_output=True)
    formats = {view.format for view in pack_in_memory(open_gguf(whole), "exact").tensors.values()}
    assert formats == {"q8", "q6_k", "f32", "f16"}  # `per_layer_model_proj` stays what it was


@pytest.mark.parametrize(
    "policy, matrix, head, table",
    [("q8", "q8", "q8_planes", "q8_0"), ("q4", "q4", "q4", "q4_0"), ("exact", "q8", "q8_planes", "q6_k")],
)
def test_every_matrix_of_six_bits_may_be_packed(
    tmp_path: Path, policy: str, matrix: str, head: str, table: str
) -> None:
    config = wide()
    checkpoint = open_gguf(write_gguf(tmp_path / "x.gguf", config, weights(config), None, "Q6_K"))
    made = pack_in_memory(checkpoint, policy)
    assert (made.tensors[EMBEDDING].format, made.tensors[TABLE].format) == (head, table)
    assert made.tensors[DOWN].format == matrix
    expected = pack(checkpoint[DOWN].numpy(), matrix)
    np.testing.assert_array_equal(np.frombuffer(made.tensors[DOWN].buffer, np.uint8), expected)


@pytest.mark.parametrize("name", ["token_embd.weight", "per_layer_token_embd.weight"])
def test_a_scale_that_is_no_number_is_refused_by_name(tmp_path: Path, name: str) -> None:
    config = wide()
    path = write_gguf(tmp_path / "x.gguf", config, weights(config), None, "Q4_0", kinds=AS_LLAMA_QUANTIZE)
    tensor = next(tensor for tensor in gguf.GGUFReader(path).tensors if tensor.name == name)
    data = bytearray(path.read_bytes())
    row = int(tensor.data_offset) + 9 * tensor.data.shape[1]
    data[row + 208 : row + 210] = b"\x00\x7e"
    path.write_bytes(data)
    for policy in ("exact", "q4"):
        with pytest.raises(ModelFileError, match=r"a scale of .*embed_tokens.* holds nan at \[9, 0\]"):
            pack_in_memory(open_gguf(path), policy)


def test_rows_of_no_whole_super_blocks_fall_back_as_there(tmp_path: Path) -> None:
    config = text_only("pebble")  # rows of 192 and 128
    path = write_gguf(tmp_path / "x.gguf", config, weights(config), None, "Q4_0", kinds=AS_LLAMA_QUANTIZE)
    assert {open_gguf(path)[name].dtype for name in (EMBEDDING, TABLE)} == {"Q8_0"}
