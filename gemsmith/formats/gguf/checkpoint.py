"""A GGUF file, opened: config, tensors under released names, vocabulary and template, as from a checkpoint folder.

Opening reads the header only and compares every name, shape and type with the config before anyone allocates anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from gemsmith.config.model import ModelConfig
from gemsmith.config.tensors import EMBEDDING, all_tensors, dead_tensors
from gemsmith.errors import ModelFileError
from gemsmith.formats.checkpoint import check_shapes
from gemsmith.formats.gguf.config import model_config
from gemsmith.formats.gguf.directory import read_file
from gemsmith.formats.gguf.generation import generation_config
from gemsmith.formats.gguf.names import HEAD, ROPE_FREQS, SEPARATE_EXPERTS, released_name
from gemsmith.formats.gguf.types import READ
from gemsmith.formats.head import is_copy
from gemsmith.formats.tensor import TensorView


@dataclass(frozen=True)
class _Part:
    """Where a released tensor is: one tensor of the file, or the gates and ups of experts, to be joined."""

    shape: tuple[int, ...]
    dtype: str
    views: tuple[TensorView, ...]

    @classmethod
    def of(cls, view: TensorView) -> _Part:
        return cls(view.shape, view.dtype, (view,))


class _Joined(TensorView):
    """Gates and ups of all experts as one tensor, whose bytes are a copy that is made anew at each look."""

    def __init__(self, name: str, part: _Part):
        for field_name, value in (("name", name), ("shape", part.shape), ("dtype", part.dtype), ("_views", part.views)):
            object.__setattr__(self, field_name, value)  # as dataclasses set what is frozen

    _views: tuple[TensorView, ...]

    @property
    def nbytes(self) -> int:
        return sum(view.nbytes for view in self._views)

    @property
    def buffer(self) -> memoryview:
        E = self.shape[0]
        size = self._views[0].nbytes // E
        return memoryview(b"".join(view.buffer[e * size : (e + 1) * size] for e in range(E) for view in self._views))


@dataclass(frozen=True, eq=False)
class GgufCheckpoint(Mapping[str, TensorView]):
    """The model's tensors by released name, exactly those its config asks for, with the file's own bytes.

    dtype is one of `types.READ`. A pair of expert tensors is joined, into a copy, when one looks at its `buffer`.
    """

    path: Path  # the file
    config: ModelConfig
    generation_config: Mapping[str, Any] | None
    tokenizer_path: Path | None  # the file itself, if it has a vocabulary
    chat_template: str | None  # to compare, never to run
    _parts: Mapping[str, _Part] = field(repr=False)

    def __getitem__(self, name: str) -> TensorView:
        part = self._parts[name]
        if len(part.views) > 1:
            return _Joined(name, part)
        return TensorView(name, part.shape, part.dtype, part.views[0].buffer)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def open_gguf(path: str | PathLike[str]) -> GgufCheckpoint:
    """Open a Gemma 4 text model in GGUF (F32, F16, BF16, Q8_0, Q6_K, Q4_0, mixed at will).

    Raises ModelFileError (TensorFileError for a damaged file, ConfigError and TensorMismatchError for one that is no
    whole Gemma 4) before anything is allocated.
    """
    path = Path(path)
    metadata, tensors = read_file(path)
    config = model_config(metadata, tensors, str(path))
    parts = _parts(tensors, str(path))
    head = parts.pop(HEAD, None)
    for dead in dead_tensors(config.text):
        parts.pop(dead, None)
    expected = all_tensors(config)
    parts = {name: _shaped(part, expected.get(name)) for name, part in parts.items()}
    check_shapes(parts, config, str(path))
    _check_types(parts, str(path))
    if head is not None:
        _check_head(head.views[0], parts[EMBEDDING].views[0], str(path))
    template = metadata.get("tokenizer.chat_template")
    return GgufCheckpoint(
        path=path,
        config=config,
        generation_config=generation_config(metadata, str(path)),
        tokenizer_path=path if "tokenizer.ggml.tokens" in metadata else None,
        chat_template=template if isinstance(template, str) else None,
        _parts={name: parts[name] for name in expected},
    )


def _parts(tensors: Mapping[str, TensorView], source: str) -> dict[str, _Part]:
    """Released name -> where it is; names nobody knows stay as they are, and are complained about with the others."""
    out: dict[str, _Part] = {}
    gates = SEPARATE_EXPERTS[0]
    for name, view in tensors.items():
        if name == ROPE_FREQS or (
            name.endswith(SEPARATE_EXPERTS[1]) and name[: -len(SEPARATE_EXPERTS[1])] + gates in tensors
        ):
            continue
        if name.endswith(gates):
            released = released_name(name.replace(gates, "ffn_gate_up_exps.weight"))
            part = _pair(view, tensors.get(name.replace(*SEPARATE_EXPERTS)), source)
        else:
            released, part = released_name(name), _Part.of(view)
        released = released or name
        if released in out:
            raise ModelFileError(f"{source} holds {released} twice, once as {name}; keep one of them")
        out[released] = part
    return out


def _pair(gate: TensorView, up: TensorView | None, source: str) -> _Part:
    """Gates and ups of all experts, [E, F, D] each, as the released [E, 2 F, D]: gates first within each expert."""
    if up is None or len(gate.shape) != 3 or (gate.shape, gate.dtype) != (up.shape, up.dtype):
        found = f"{up.dtype} {list(up.shape)}" if up else "not there"
        raise ModelFileError(
            f"{source} has {gate.name} as {gate.dtype} {list(gate.shape)} but its {SEPARATE_EXPERTS[1]} is {found};"
            " gemsmith joins the two, which takes equal ones: convert the model with one type for both"
        )
    E, F, D = gate.shape
    return _Part((E, 2 * F, D), gate.dtype, (gate, up))


def _shaped(part: _Part, expected: tuple[int, ...] | None) -> _Part:
    """ggml drops outer dimensions of 1 (the experts of a model that has one); they come back here."""
    outer = len(expected or ()) - len(part.shape)
    if expected and outer > 0 and expected == (1,) * outer + part.shape:
        return _Part(expected, part.dtype, part.views)
    return part


def _check_types(parts: Mapping[str, _Part], source: str) -> None:
    found: dict[str, list[str]] = {}
    for part in parts.values():
        if part.dtype not in READ:
            found.setdefault(part.dtype, []).append(part.views[0].name)
    if not found:
        return
    kinds = "; ".join(
        f"{names[0]} is {kind}" + f" (as {len(names) - 1} others)" * (len(names) > 1) for kind, names in found.items()
    )
    raise ModelFileError(
        f"{source} has types that gemsmith does not read yet: {kinds}. It reads {', '.join(READ)}; get such a file of"
        " the model, or make one: llama-quantize MODEL-BF16.gguf OUT.gguf Q4_0"
    )


def _check_head(head: TensorView, embedding: TensorView, source: str) -> None:
    """A head of its own would be used by llama.cpp, and gemsmith has none: refuse it unless it is the embedding."""
    if not is_copy(head, embedding):
        raise ModelFileError(
            f"{source} has an {HEAD} that is not its embedding ({head.dtype} {list(head.shape)}, the embedding is"
            f" {embedding.dtype} {list(embedding.shape)}); gemsmith runs models whose head is their embedding, as every"
            " Gemma 4's is"
        )
