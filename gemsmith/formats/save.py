"""Write a checkpoint folder in the released layout, whole or not at all.

Everything is written into a folder beside the target, then takes the target's name in one step. The result is what
`Gemma4ForConditionalGeneration.from_pretrained` (or `Gemma4ForCausalLM`, for a text-only config) expects to find.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from gemsmith.config.model import ModelConfig
from gemsmith.config.tensors import EMBEDDING
from gemsmith.errors import ModelFileError
from gemsmith.files import sync_folder, umask, write_json, write_text
from gemsmith.formats.checkpoint import check_tensors
from gemsmith.formats.names import text_only_name
from gemsmith.formats.shards import is_weight_file, write_sharded
from gemsmith.formats.tensor import TensorSource

MAX_SHARD_BYTES = 5_000_000_000  # what transformers 4 wrote, and the Hub still moves comfortably
_TORCH_DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}


def save_checkpoint(
    folder: str | PathLike[str],
    config: ModelConfig,
    tensors: Mapping[str, TensorSource],
    *,
    tokenizer_json: str | None = None,
    generation_config: Mapping[str, Any] | None = None,
    chat_template: str | None = None,
    max_shard_bytes: int = MAX_SHARD_BYTES,
    overwrite: bool = False,
) -> None:
    """Write config.json, weights (by released name; exactly the config's) and what else is given, as text.

    The config's dtype is written as the embedding's, so that other readers keep the weights as they are. With
    `overwrite`, files of an existing folder are replaced one by one, config last, and its other weights removed.
    """
    folder = Path(folder)
    check_tensors(tensors, config, f"what was to be saved in {folder}")
    if folder.exists() and not overwrite and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelFileError(f"{folder} exists and is not an empty folder; choose another, or ask to overwrite it")
    with _staged(folder) as stage:
        write_sharded(stage, _file_names(tensors, config), max_shard_bytes)
        if tokenizer_json is not None:
            write_text(stage / "tokenizer.json", tokenizer_json)
        if generation_config is not None:
            write_json(stage / "generation_config.json", dict(generation_config))
        if chat_template is not None:
            write_text(stage / "chat_template.jinja", chat_template)
        write_json(stage / "config.json", _config_json(config, tensors[EMBEDDING].dtype))


def _file_names(tensors: Mapping[str, TensorSource], config: ModelConfig) -> dict[str, TensorSource]:
    return {text_only_name(name) if config.is_text_only else name: tensor for name, tensor in tensors.items()}


def _config_json(config: ModelConfig, dtype: str) -> dict[str, Any]:
    data = dict(config.to_json())
    data.pop("auto_map", None)  # names code that is not copied, and that nobody should run
    data["dtype"] = _TORCH_DTYPES[dtype]
    if isinstance(data.get("text_config"), Mapping):
        data["text_config"] = {**data["text_config"], "dtype": data["dtype"]}
    return data


@contextmanager
def _staged(folder: Path) -> Iterator[Path]:
    """A folder to fill beside `folder`, which takes its name (or its files' names) when the block ends well."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield stage
        if folder.exists():
            _replace_files(stage, folder)
        else:
            _make_visible(stage)
            os.replace(stage, folder)
            sync_folder(folder.parent)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _replace_files(stage: Path, folder: Path) -> None:
    new = sorted((path.name for path in stage.iterdir()), key="config.json".__eq__)  # config.json last
    for stale in (path for path in folder.iterdir() if is_weight_file(path.name) and path.name not in new):
        stale.unlink()
    for name in new:
        os.replace(stage / name, folder / name)
    sync_folder(folder)


def _make_visible(stage: Path) -> None:
    """A temporary folder is its owner's alone; a model's is like any other."""
    stage.chmod(0o777 & ~umask())
