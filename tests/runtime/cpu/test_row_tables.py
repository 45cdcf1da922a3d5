"""Rows of the per-layer table in every format that a GGUF file may give it, from memory and from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.gguf_writing import AS_LLAMA_QUANTIZE, PER_LAYER_EMBEDDING, write_gguf
from gemsmith import kernels
from gemsmith.config.tensors import EMBEDDING
from gemsmith.formats.gguf import open_gguf
from gemsmith.formats.pack import Pack, pack_in_memory, write_pack
from gemsmith.formats.pack.plan import TABLE
from gemsmith.runtime.cpu import CpuRuntime, lower
from gemsmith.runtime.protocol import Run
from tests.formats.gguf.test_q6_k import weights, wide

if not kernels.available():
    pytest.skip("the native engine is not built", allow_module_level=True)

pytestmark = pytest.mark.slow
IDS = [2, *range(400, 440)]


def logits(pack: Pack) -> np.ndarray:
    program = lower(pack.config.text, pack.tensors, dtype="float32")
    runtime = CpuRuntime(pack.config, program, threads=2, kv="f32")
    return runtime.step([Run(runtime.new(), IDS, range(len(IDS)))]).logits


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q6_K", "Q4_0"])
def test_rows_are_what_they_are_as_floats(tmp_path: Path, kind: str) -> None:
    """The same model with the table's own values written out in float32 gives the same bits."""
    config = wide()
    kinds = AS_LLAMA_QUANTIZE | {PER_LAYER_EMBEDDING: kind}
    path = write_gguf(tmp_path / "x.gguf", config, weights(config), None, "Q4_0", kinds=kinds)
    source = open_gguf(path)
    values = {PER_LAYER_EMBEDDING: source[TABLE].numpy()}
    kinds[PER_LAYER_EMBEDDING] = "F32"
    plain = write_gguf(tmp_path / "y.gguf", config, weights(config), None, "Q4_0", kinds=kinds, changes=values)
    expected = logits(pack_in_memory(open_gguf(plain), "exact"))
    assert expected.std() > 0.1 and source[EMBEDDING].dtype == "Q6_K"
    np.testing.assert_array_equal(logits(pack_in_memory(source, "exact")), expected)
    made = write_pack(tmp_path / "pack", source, "exact")
    assert made.tensors[TABLE].path is not None
    np.testing.assert_array_equal(logits(made), expected)
