"""A small model to pack, from a seed: every kind of tensor of its size, at any dtype."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gemsmith.config import ModelConfig, preset
from gemsmith.config.tensors import all_tensors
from gemsmith.formats.tensor import TensorView
from gemsmith.hub.names import DEFAULT_TOKENIZER
from gemsmith.quant.floats import as_floats, float_bits


@dataclass
class Source:
    """What `write_pack` takes."""

    config: ModelConfig
    tensors: dict[str, TensorView]
    generation_config: Mapping[str, Any] | None = None
    tokenizer_path: Path | None = DEFAULT_TOKENIZER
    chat_template: str | None = None

    def __getitem__(self, name: str) -> TensorView:
        return self.tensors[name]


def small(size: str = "tiny-random-e2b", dtype: str = "BF16", **text: Any) -> Source:
    """A preset with the vocabulary cut to 64 (so without a tokenizer), and what `text` changes."""
    config = preset(size)
    sizes = {"vocab_size": 64, "vocab_size_per_layer_input": 64, **text}
    config = replace(config, text=replace(config.text, **sizes))
    rng = np.random.default_rng(0)
    tensors = {
        name: view(name, rng.standard_normal(shape).astype(np.float32), dtype)
        for name, shape in all_tensors(config).items()
    }
    return Source(config, tensors, tokenizer_path=None)


def view(name: str, values: np.ndarray, dtype: str) -> TensorView:
    bits = float_bits(np.atleast_1d(values), dtype.lower())
    return TensorView(name, values.shape, dtype, memoryview(bits.reshape(-1).view(np.uint8).tobytes()))


def floats(source: Source, name: str) -> np.ndarray:
    """A tensor of the source as float32, in its shape."""
    found = source[name]
    kind = {"F32": "<u4"}.get(found.dtype, "<u2")
    return as_floats(np.frombuffer(found.buffer, kind), found.dtype.lower()).reshape(found.shape)
