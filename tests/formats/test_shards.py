"""Weights over several files: split, joined, and indexes that lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gemsmith.errors import ModelFileError, TensorFileError
from gemsmith.formats.safetensors import write_tensors
from gemsmith.formats.shards import open_tensors, write_sharded
from gemsmith.formats.tensor import TensorView

INDEX = "model.safetensors.index.json"


def tensor(name: str, nbytes: int = 4) -> TensorView:
    return TensorView(name, (nbytes,), "U8", memoryview(name.encode()[:1] * nbytes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three tensors in two shards."""
    write_sharded(tmp_path, {name: tensor(name) for name in "abc"}, max_shard_bytes=8)
    return tmp_path


def rewrite(folder: Path, **weight_map: Any) -> None:
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def test_shards_are_filled_in_order(folder: Path):
    index = json.loads((folder / INDEX).read_text())
    first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    assert index == {"metadata": {"total_size": 12}, "weight_map": {"a": first, "b": first, "c": second}}
    assert {name: bytes(view.buffer) for name, view in open_tensors(folder).items()} == {
        n: n.encode() * 4 for n in "abc"
    }
    assert open_tensors(folder / INDEX).keys() == {"a", "b", "c"}


@pytest.mark.parametrize("limit, files", [(0, 3), (1, 3), (7, 3), (8, 2), (12, 1), (100, 1)])
def test_a_tensor_is_never_split(tmp_path: Path, limit: int, files: int):
    write_sharded(tmp_path, {name: tensor(name) for name in "abc"}, limit)
    assert len(list(tmp_path.glob("*.safetensors"))) == files and len(open_tensors(tmp_path)) == 3


BAD_NAMES = [
    "../x.safetensors",
    "/x.safetensors",
    "a/x.safetensors",
    "..\\x.safetensors",
    "C:x.safetensors",
    "x.bin",
    ".safetensors",
    "x..%2f/y.safetensors",
]


@pytest.mark.parametrize(
    "shard", [*BAD_NAMES, "", None, 3, ["x.safetensors"], "x\0.safetensors", "x" * 300 + ".safetensors"]
)
def test_a_shard_must_be_a_plain_file_name(folder: Path, shard: Any):
    rewrite(folder, a=shard)
    with pytest.raises(ModelFileError, match=r"puts tensor 'a' into .* plain name"):
        open_tensors(folder)


def test_a_missing_shard_is_named(folder: Path):
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(TensorFileError, match=r"model-00002-of-00002\.safetensors, which .* is missing"):
        open_tensors(folder)


def test_a_truncated_shard_is_named(folder: Path):
    path = folder / "model-00002-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TensorFileError, match=r"model-00002-of-00002\.safetensors is cut short: tensor 'c'"):
        open_tensors(folder)


def test_a_tensor_in_two_shards(folder: Path):
    write_tensors(folder / "model-00002-of-00002.safetensors", {"c": tensor("c"), "a": tensor("a")})
    with pytest.raises(TensorFileError, match=r"'a' is in both model-00001-of-00002\.safetensors and"):
        open_tensors(folder)


@pytest.mark.parametrize("name, number", [("d", 1), ("a", 2)])
def test_a_tensor_that_is_not_where_the_index_says(folder: Path, name: str, number: int):
    shards = {n: f"model-0000{i}-of-00002.safetensors" for n, i in (("a", 1), ("b", 1), ("c", 2), (name, number))}
    rewrite(folder, **shards)
    with pytest.raises(TensorFileError, match=f"says that tensor '{name}' is in model-0000{number}-of"):
        open_tensors(folder)


@pytest.mark.parametrize(
    "text", ["{}", '{"weight_map": []}', '{"weight_map": {}}', '{"weight_map": {"a":"x","a":"y"}}']
)
def test_an_index_without_a_sound_map(folder: Path, text: str):
    (folder / INDEX).write_text(text)
    with pytest.raises(ModelFileError, match=r"index\.json"):
        open_tensors(folder)


def test_too_many_shards(folder: Path):
    rewrite(folder, **{f"t{i}": f"{i}.safetensors" for i in range(1001)})
    with pytest.raises(ModelFileError, match="more than 1000"):
        open_tensors(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "consolidated.00.pth", "model.pt", "weights.pkl"])
def test_pickles_are_refused_unopened(tmp_path: Path, name: str):
    canary = tmp_path / "canary"
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'touch " + bytes(canary) + b"'\ntR.")
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(ModelFileError, match=r"pickle.*safetensors"):
            open_tensors(path)
    assert not canary.exists()


def test_a_folder_without_weights(tmp_path: Path):
    with pytest.raises(ModelFileError, match="holds no weights"):
        open_tensors(tmp_path)
