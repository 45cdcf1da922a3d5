"""The list of tensors in a GGUF file: what each is called, its shape and type, and where its bytes are.

The format's rules are held strictly, as ggml's own reader holds them: every tensor begins where the one before it ends,
rounded up to the file's alignment, so that nothing overlaps and nothing hides. All of it is checked before a byte of a
tensor is touched. Layout: the GGUF specification, github.com/ggml-org/ggml, docs/gguf.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from reprlib import repr as shown  # short, however long a hostile text is
from typing import Any, NamedTuple

from gemsmith.errors import TensorFileError
from gemsmith.formats.gguf.types import TYPES
from gemsmith.formats.header import MAX_TENSORS, check_name
from gemsmith.formats.tensor import TensorView
from gemsmith.tokenizer.gguf import Reader

DEFAULT_ALIGNMENT = 32  # bytes
MAX_ALIGNMENT = 1 << 20
MAX_RANK = 4
MAX_ELEMENTS = 1 << 48
UINT32, UINT64 = 4, 10  # the format's numbers for its own types


class GgufFile(NamedTuple):
    """What a file holds: its keys, and its tensors under the file's own names."""

    metadata: Mapping[str, Any]
    tensors: Mapping[str, TensorView]


def read_file(path: Path) -> GgufFile:
    """The keys and tensors of the GGUF file at `path`; views share its mapped pages. TensorFileError if it lies."""
    reader = Reader(path, TensorFileError)
    metadata = reader.metadata()
    if reader.num_tensors > MAX_TENSORS:
        reader.fail(f"lists {reader.num_tensors:,} tensors, where gemsmith takes {MAX_TENSORS:,}")
    alignment = _alignment(reader, metadata)
    entries = [_entry(reader) for _ in range(reader.num_tensors)]
    return GgufFile(metadata, _views(reader, entries, alignment))


class _Entry(NamedTuple):
    name: str
    shape: tuple[int, ...]  # row-major: the file lists the fastest dimension first
    dtype: str
    nbytes: int
    offset: int


def _alignment(reader: Reader, metadata: Mapping[str, Any]) -> int:
    found = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if type(found) is not int or not 8 <= found <= MAX_ALIGNMENT or found & (found - 1):
        reader.fail(f"has general.alignment {shown(found)}, where a power of two from 8 to {MAX_ALIGNMENT} stands")
    return found


def _entry(reader: Reader) -> _Entry:
    name = reader.strings(1, "the name of a tensor")[0]
    check_name(name, str(reader.path))
    rank = reader.scalar(UINT32, f"the rank of {name}")
    if not 1 <= rank <= MAX_RANK:
        reader.fail(f"gives {name} the rank {rank}, where 1 to {MAX_RANK} stand")
    shape = tuple(reversed(reader.scalars(UINT64, rank, f"the shape of {name}")))
    type_id = reader.scalar(UINT32, f"the type of {name}")
    offset = reader.scalar(UINT64, f"the place of {name}")
    if not all(shape) or prod(shape) > MAX_ELEMENTS:
        reader.fail(f"gives {name} the shape {list(shape)}, which no tensor has")
    if type_id not in TYPES:
        reader.fail(f"gives {name} the unknown type {type_id}")
    kind = TYPES[type_id]
    if shape[-1] % kind.size:
        reader.fail(f"gives {name} rows of {shape[-1]} numbers, but {kind.name} stores {kind.size} at a time")
    return _Entry(name, shape, kind.name, prod(shape) // kind.size * kind.nbytes, offset)


def _views(reader: Reader, entries: list[_Entry], alignment: int) -> dict[str, TensorView]:
    start = _rounded(reader.at, alignment)
    views: dict[str, TensorView] = {}
    end = 0  # from `start`, of the tensor before
    for name, shape, dtype, nbytes, offset in entries:
        if name in views:
            reader.fail(f"has the tensor {name} twice")
        if offset != _rounded(end, alignment):
            reader.fail(f"puts {name} at byte {offset} of the tensors, but it must follow the one before: {end}")
        end = offset + nbytes
        if start + end > len(reader.data):
            reader.fail(f"has {len(reader.data)} bytes, but {name} ends at byte {start + end}: it is cut short")
        views[name] = TensorView(name, shape, dtype, reader.data[start + offset : start + end])
    return views


def _rounded(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment
