"""A small sound checkpoint to spoil: weights of `tiny-random-e2b`, pebble's tokenizer, and all that may lie beside."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from gemsmith.config import ModelConfig, preset
from gemsmith.formats import TensorView, save_checkpoint
from gemsmith.hub.names import DEFAULT_TOKENIZER

FILES = ("config.json", "tokenizer.json", "generation_config.json", "chat_template.jinja", "model.safetensors")


def write_checkpoint(folder: Path, dtype: str = "F32") -> Path:
    """A new folder with every file of FILES, and without the index of shards."""
    shutil.copytree(_sound(dtype), folder)
    return folder


@cache
def _sound(dtype: str) -> Path:
    import atexit

    from gemsmith.model.init import random_text_model
    from gemsmith.ops import buffers

    folder = Path(mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    text = replace(preset("tiny-random-e2b").text, model_type="gemma4_text")
    views = {}
    for name, tensor in random_text_model(text, seed=0).to(buffers.DTYPES[dtype]).state_dict().items():
        name = f"model.language_model.{name}"
        views[name] = TensorView(name, tuple(tensor.shape), dtype, buffers.to_buffer(tensor))
    save_checkpoint(
        folder / "sound",
        ModelConfig(text=text),
        views,
        tokenizer_json=DEFAULT_TOKENIZER.read_text(encoding="utf-8"),
        generation_config={"temperature": 0.5, "top_k": 20},
        chat_template="{{ messages }}",
    )
    return folder / "sound"


def change_json(path: Path, **changes: object) -> None:
    """Set some keys of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")
