"""Every reader of a stranger's file, by the kind of file; none of them needs torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gemsmith.config import GenerationConfig, ModelConfig
from gemsmith.formats.files import read_text
from gemsmith.formats.safetensors import TensorFile
from gemsmith.formats.shards import open_tensors
from gemsmith.tokenizer import Tokenizer

READERS: dict[str, Callable[[Path], Any]] = {
    "safetensors": TensorFile,
    "index": lambda path: open_tensors(path),
    "config": ModelConfig.load,
    "generation": GenerationConfig.load,
    "tokenizer": Tokenizer.from_tokenizer_json,
    "gguf": Tokenizer.from_gguf,
    "template": read_text,
}
NAMES = {
    "safetensors": "model.safetensors",
    "index": "model.safetensors.index.json",
    "config": "config.json",
    "generation": "generation_config.json",
    "tokenizer": "tokenizer.json",
    "gguf": "model.gguf",
    "template": "chat_template.jinja",
}
"""What such a file is called in a checkpoint."""
