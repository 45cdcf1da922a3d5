"""A separate output head: a copy passes in silence, another one is told of or refused, and is never used unsaid."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import torch

from gemsmith.config import preset
from gemsmith.config.tensors import EMBEDDING, all_tensors
from gemsmith.errors import ModelFileError
from gemsmith.formats import TensorView, open_checkpoint, save_checkpoint, write_tensors
from gemsmith.formats.safetensors import TensorFile
from gemsmith.ops import buffers

CONFIG = preset("tiny-random-31b")


def view(tensor: torch.Tensor) -> TensorView:
    return TensorView("", tuple(tensor.shape), buffers.NAMES[tensor.dtype], buffers.to_buffer(tensor))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tensors = {name: view(torch.randn(shape, dtype=torch.bfloat16)) for name, shape in all_tensors(CONFIG).items()}
    save_checkpoint(tmp_path / "model", CONFIG, tensors)
    return tmp_path / "model"


def add_head(folder: Path, *, scale: float = 1.0, rows: int | None = None, tied: bool = True) -> None:
    """A head of float32, made from the embedding."""
    tensors = TensorFile(folder / "model.safetensors")
    head = torch.from_numpy(tensors[EMBEDDING].numpy().copy())[:rows] * scale
    write_tensors(folder / "model.safetensors", {**tensors, "lm_head.weight": view(head)})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": tied}))


@pytest.mark.parametrize("tied", [True, False])
def test_a_copy_of_the_embedding_passes_whatever_its_dtype(folder: Path, tied: bool) -> None:
    add_head(folder, tied=tied)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "lm_head.weight" not in open_checkpoint(folder)


@pytest.mark.parametrize("change", [{"scale": 1.5}, {"rows": 100}], ids=["other numbers", "other shape"])
def test_another_head_is_told_of_where_the_config_ties_it(folder: Path, change: dict[str, float]) -> None:
    add_head(folder, **change)  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match="lm_head.weight that is not its embedding; it is left out"):
        open_checkpoint(folder)


def test_another_head_is_refused_where_the_config_wants_it_used(folder: Path) -> None:
    add_head(folder, scale=1.5, tied=False)
    with pytest.raises(ModelFileError, match="tie_word_embeddings is false"):
        open_checkpoint(folder)
