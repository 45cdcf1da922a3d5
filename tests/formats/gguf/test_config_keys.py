"""Keys to configs: every released size, and the keys that llama.cpp's own converter wrote for 26B-A4B."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from bench.gguf_writing import add_config
from gemsmith.config import TextConfig, preset
from gemsmith.formats.gguf.config import model_config
from gemsmith.formats.gguf.generation import generation_config
from gemsmith.formats.gguf.metadata import shortest
from gemsmith.formats.tensor import TensorView
from gemsmith.tokenizer.gguf import read_metadata
from tests.formats.gguf.small import SIZES

REAL = "ggml-vocab-gemma-4.gguf"


def shapes_of(text: TextConfig) -> dict[str, TensorView]:
    """What the keys do not tell: vocabularies, layers without a projection for values, pairs that do not turn."""
    pairs = text.global_head_dim // 2
    freqs = np.array([1.0] * (pairs // 4) + [1e30] * (pairs - pairs // 4), "<f4")
    out = {
        "token_embd.weight": view((text.vocab_size, text.hidden_size), "BF16"),
        "rope_freqs.weight": TensorView("rope_freqs.weight", (pairs,), "F32", memoryview(freqs.tobytes())),
    }
    for layer in text.layers:
        if not layer.k_eq_v:
            out[f"blk.{layer.index}.attn_v.weight"] = view((1, 1), "BF16")
    if text.hidden_size_per_layer_input:
        out["per_layer_token_embd.weight"] = view((text.vocab_size_per_layer_input, 1), "BF16")
    return out


def view(shape: tuple[int, ...], dtype: str) -> TensorView:
    return TensorView("", shape, dtype, memoryview(b""))


@pytest.mark.parametrize("size", SIZES)
def test_released_sizes(tmp_path: Path, size: str) -> None:
    text = preset(size).text
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "gemma4")
    add_config(writer, text)
    if size == "12b":
        writer.add_array("tokenizer.ggml.suppress_tokens", [258883, 258882])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    found = model_config(read_metadata(tmp_path / "x.gguf"), shapes_of(text), "x.gguf")
    assert found.text == text
    assert found.is_text_only and found.vision is None


@pytest.mark.slow
def test_what_the_converter_wrote() -> None:
    folder = Path(os.environ.get("GEMSMITH_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
    if not (folder / REAL).is_file():
        pytest.skip(f"{REAL} is neither in ../shared/data nor in the folder GEMSMITH_TEST_DATA names")
    metadata, text = read_metadata(folder / REAL), preset("26b-a4b").text
    assert model_config(metadata, shapes_of(text), REAL).text == text
    found: dict[str, Any] = generation_config(metadata, REAL) or {}
    assert found == {"eos_token_id": [1, 106, 50], "bos_token_id": 2, "pad_token_id": 0}


def test_numbers_of_32_bits_are_read_as_they_were_written() -> None:
    for number in (1e-6, 30.0, 1e6, 0.95, 0.1, 1 / 3, 3.4e38, 1e-45, 0.0):
        assert np.float32(shortest(float(np.float32(number)))) == np.float32(number)
    assert shortest(float(np.float32(1e-6))) == 1e-6 and shortest(float(np.float32(0.95))) == 0.95
