"""Weights in one file or in several with an index: found, opened as one mapping, and written.

Hugging Face's convention: `model.safetensors`, or `model-00001-of-00004.safetensors` … with
`model.safetensors.index.json`, whose `weight_map` says which file holds which tensor. Pickled weights are refused
by name and never opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gemsmith.errors import ModelFileError, TensorFileError
from gemsmith.files import write_json
from gemsmith.formats.files import read_json_object
from gemsmith.formats.header import check_name
from gemsmith.formats.safetensors import TensorFile, write_tensors
from gemsmith.formats.tensor import TensorSource, TensorView, tensor_bytes
from gemsmith.hub.names import PACK_FILE

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
MAX_SHARDS = 1000
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


class ShardedTensors(Mapping[str, TensorView]):
    """The tensors of several files as one mapping; the files must not contradict their index."""

    def __init__(self, index: Path):
        self.path = index
        weight_map = _weight_map(index)
        self._owner: dict[str, TensorFile] = {}
        for shard in sorted(set(weight_map.values())):
            self._add(shard)
        for name, shard in weight_map.items():
            if name not in self._owner or self._owner[name].path.name != shard:
                raise TensorFileError(
                    f"{index} says that tensor {name!r} is in {shard}, but it is not; download both again"
                )

    def _add(self, shard: str) -> None:
        path = self.path.parent / shard
        if not path.exists():
            raise TensorFileError(f"{path}, which {self.path.name} lists, is missing; download it again")
        file = TensorFile(path)
        if twice := [name for name in file if name in self._owner]:
            other = self._owner[twice[0]].path.name
            raise TensorFileError(f"tensor {twice[0]!r} is in both {other} and {path}; download both again")
        self._owner |= dict.fromkeys(file, file)

    def __getitem__(self, name: str) -> TensorView:
        return self._owner[name][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._owner)

    def __len__(self) -> int:
        return len(self._owner)


def open_tensors(path: Path) -> Mapping[str, TensorView]:
    """Tensors under the names in the files: of a folder, or of one .safetensors or index file."""
    if path.name == PACK_FILE or (path.is_dir() and (path / PACK_FILE).exists() and not (path / SINGLE).exists()):
        raise ModelFileError(
            f"{path} is a pack of gemsmith's, in the layout of its kernels, and no checkpoint; this needs the model"
            " that the pack was made from"
        )
    if path.name.endswith(".index.json"):
        return ShardedTensors(path)
    if not path.is_dir():
        _refuse_pickle(path, [path.name])
        return TensorFile(path)
    if (path / SINGLE).exists():  # where both are, transformers reads this one too
        return TensorFile(path / SINGLE)
    if (path / INDEX).exists():
        return ShardedTensors(path / INDEX)
    _refuse_pickle(path, sorted(entry.name for entry in path.iterdir()))
    raise ModelFileError(f"{path} holds no weights: neither {SINGLE} nor {INDEX}; is the download complete?")


def write_sharded(folder: Path, tensors: Mapping[str, TensorSource], max_shard_bytes: int) -> None:
    """Write `model.safetensors`, or shards with their index when more than `max_shard_bytes` are needed.

    A tensor larger than the limit gets a shard to itself. The index is written last, so a folder without it is
    visibly unfinished.
    """
    shards = _split(tensors, max_shard_bytes)
    if len(shards) == 1:
        return write_tensors(folder / SINGLE, shards[0])
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        file_name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        write_tensors(folder / file_name, shard)
        weight_map |= dict.fromkeys(shard, file_name)
    total = sum(_nbytes(tensor) for tensor in tensors.values())
    write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))})


def is_weight_file(name: str) -> bool:
    """Is this a file that `write_sharded` may have written?"""
    return name in (SINGLE, INDEX) or (name.startswith("model-") and name.endswith(".safetensors"))


def _split(tensors: Mapping[str, TensorSource], max_shard_bytes: int) -> list[dict[str, TensorSource]]:
    shards: list[dict[str, TensorSource]] = [{}]
    filled = 0
    for name, tensor in tensors.items():
        if filled + _nbytes(tensor) > max_shard_bytes and shards[-1]:
            shards.append({})
            filled = 0
        shards[-1][name] = tensor
        filled += _nbytes(tensor)
    return shards


def _nbytes(tensor: TensorSource) -> int:
    return tensor_bytes(tuple(tensor.shape), tensor.dtype)


def _weight_map(index: Path) -> dict[str, str]:
    weight_map: Any = read_json_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelFileError(f"{index} has no weight_map that says where its tensors are; download it again")
    for name, shard in weight_map.items():
        check_name(name, str(index))
        if not _is_plain_file_name(shard):
            raise ModelFileError(
                f"{index} puts tensor {name!r} into {ascii(shard)[:80]}; expected the plain name of a .safetensors file"
                " in the same folder: the index is damaged or hostile"
            )
    if len(set(weight_map.values())) > MAX_SHARDS:
        raise ModelFileError(f"{index} lists more than {MAX_SHARDS} files; is this a model?")
    return weight_map


def _is_plain_file_name(name: Any) -> bool:
    return (
        isinstance(name, str)
        and name.endswith(".safetensors")
        and len(name) <= 255
        and name.isprintable()
        and not name.startswith(".")
        and not set(name) & set('/\\:*?"<>|')
    )


def _refuse_pickle(path: Path, names: list[str]) -> None:
    if pickled := [name for name in names if name.endswith(PICKLES)]:
        raise ModelFileError(
            f"{path} has its weights as {pickled[0]}, a pickle, which can run any code when it is read; gemsmith never"
            " opens one: ask for, or convert it to, safetensors"
        )
