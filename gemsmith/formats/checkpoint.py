"""A checkpoint folder, opened: config, tensors under released names, and what else lies beside them.

Opening reads headers and small JSON files only, and compares every name, shape and dtype with the config before
anyone allocates anything. Weights are pages of the files until a runtime asks for them. Nothing in a folder is ever
executed: no pickle is opened, `auto_map` (custom code) is ignored, the chat template is text.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from gemsmith.config.model import ModelConfig
from gemsmith.config.tensors import EMBEDDING, all_tensors, dead_tensors
from gemsmith.errors import ModelFileError, TensorMismatchError
from gemsmith.formats.files import read_json_object, read_text
from gemsmith.formats.head import check_head
from gemsmith.formats.names import released_names
from gemsmith.formats.shards import open_tensors
from gemsmith.formats.tensor import FLOAT_DTYPES, TensorSource, TensorView

ADAPTER = "adapter_config.json"  # PEFT's


class Shaped(Protocol):
    """Whatever has a shape."""

    @property
    def shape(self) -> tuple[int, ...]: ...


@dataclass(frozen=True, eq=False)
class Checkpoint(Mapping[str, TensorView]):
    """The model's tensors by released name (`model.language_model.layers.0.…`), exactly those its config asks for.

    A separate `lm_head.weight` (the head is tied) and the k/v of layers that share another's are left out.
    """

    path: Path  # the folder
    config: ModelConfig
    generation_config: Mapping[str, Any] | None
    tokenizer_path: Path | None  # a folder without one still serves for logits
    chat_template: str | None  # to compare, never to run
    _tensors: Mapping[str, TensorView] = field(repr=False)
    _names: Mapping[str, str] = field(repr=False)  # released name -> name in the file

    def __getitem__(self, name: str) -> TensorView:
        view = self._tensors[self._names[name]]
        return TensorView(name, view.shape, view.dtype, view.buffer)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def open_checkpoint(path: str | PathLike[str]) -> Checkpoint:
    """Open a folder in the released layout, or one .safetensors file with config.json beside it.

    Raises ModelFileError (TensorFileError for a damaged file, TensorMismatchError for tensors that are not the
    config's) before anything is allocated.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    if not path.exists():
        raise ModelFileError(f"{path} does not exist; give a folder with config.json and safetensors weights")
    _refuse_adapter(path, folder)
    tensors = open_tensors(path)  # first: a folder of pickles should hear about those
    config = ModelConfig.load(folder / "config.json")
    names = released_names(tensors, str(path))
    for dead in dead_tensors(config.text):
        names.pop(dead, None)
    check_tensors({name: tensors[stored] for name, stored in names.items()}, config, str(path))
    check_head(tensors, tensors[names[EMBEDDING]], config, str(path))
    return Checkpoint(
        path=folder,
        config=config,
        generation_config=_optional_json(folder / "generation_config.json"),
        tokenizer_path=(folder / "tokenizer.json") if (folder / "tokenizer.json").exists() else None,
        chat_template=_chat_template(folder),
        _tensors=tensors,
        _names={name: names[name] for name in all_tensors(config)},
    )


def check_tensors(tensors: Mapping[str, TensorSource], config: ModelConfig, source: str) -> None:
    """Raise TensorMismatchError unless names and shapes are the config's, ModelFileError unless all are floats."""
    check_shapes(tensors, config, source)
    for name, tensor in tensors.items():
        if tensor.dtype not in FLOAT_DTYPES:
            raise ModelFileError(
                f"tensor {name} of {source} is {tensor.dtype}; gemsmith reads {', '.join(FLOAT_DTYPES)} here: get the"
                " unquantised checkpoint"
            )


def check_shapes(tensors: Mapping[str, Shaped], config: ModelConfig, source: str) -> None:
    """Raise TensorMismatchError unless names and shapes are the config's."""
    expected = all_tensors(config)
    misshaped = [
        f"{name} {list(tensors[name].shape)} instead of {list(shape)}"
        for name, shape in expected.items()
        if name in tensors and tuple(tensors[name].shape) != tuple(shape)
    ]
    missing = [name for name in expected if name not in tensors]
    unexpected = [name for name in tensors if name not in expected]
    if missing or unexpected or misshaped:
        raise TensorMismatchError(source, missing=missing, unexpected=unexpected, misshaped=misshaped)


def _refuse_adapter(path: Path, folder: Path) -> None:
    """An adapter alone is no model; beside one, whoever reads the folder should know that it is left out."""
    if not (folder / ADAPTER).exists():
        return
    if not (folder / "config.json").exists():
        raise ModelFileError(
            f"{path} is an adapter ({ADAPTER}), a change to a model and not one itself; gemsmith applies none yet:"
            " merge it into its base model (PEFT: merge_and_unload) and give the merged folder"
        )
    warnings.warn(f"{path} has an adapter beside the model ({ADAPTER}); it is not applied", stacklevel=3)


def _optional_json(path: Path) -> dict[str, Any] | None:
    return read_json_object(path) if path.exists() else None


def _chat_template(folder: Path) -> str | None:
    """The template from wherever exporters put it: its own file, or a key of a JSON file."""
    if (folder / "chat_template.jinja").exists():
        return read_text(folder / "chat_template.jinja")
    for file_name in ("chat_template.json", "tokenizer_config.json"):
        template = (_optional_json(folder / file_name) or {}).get("chat_template")
        if isinstance(template, str):
            return template
    return None
