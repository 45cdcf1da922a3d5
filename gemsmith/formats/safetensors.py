"""Safetensors files: read as mapped pages, written as a stream.

Our own reader, because it is the border where a stranger's file comes in: it never copies a tensor, checks every
length before anything is allocated, and is at least as strict as the reference implementation, with which the
tests compare its verdicts. The format is described in `header.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path

from gemsmith.errors import TensorFileError
from gemsmith.files import atomic_file, mapped_file
from gemsmith.formats.header import Entry, check_name, header_bytes, parse_header
from gemsmith.formats.tensor import ITEM_BYTES, TensorSource, TensorView, tensor_bytes

METADATA = {"format": "pt"}  # transformers asks for it: the tensors are laid out as PyTorch does


class TensorFile(Mapping[str, TensorView]):
    """A safetensors file as a mapping from name to view, in the order of the file.

    Views share the mapped pages and keep them alive; there is nothing to close. Do not truncate a file in place
    while it is open: replace it (as `write_tensors` does), and open views keep the old content.
    """

    def __init__(self, path: str | PathLike[str]):
        self.path = Path(path)
        self._data = mapped_file(self.path, TensorFileError)
        entries, self.metadata, self._start = parse_header(self._data, str(self.path))
        self._entries = {entry.name: entry for entry in entries}

    def __getitem__(self, name: str) -> TensorView:
        entry = self._entries[name]
        buffer = self._data[self._start + entry.start : self._start + entry.stop]
        return TensorView(name, entry.shape, entry.dtype, buffer)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def write_tensors(
    path: str | PathLike[str], tensors: Mapping[str, TensorSource], metadata: Mapping[str, str] = METADATA
) -> None:
    """Write a safetensors file in one pass; it appears under its name only when it is complete on the disk.

    Wider elements come first, so that every tensor is aligned to its own element size; otherwise the order is the
    mapping's. Raises TensorFileError when a tensor's bytes are not as many as its shape says.
    """
    path = Path(path)
    entries = _laid_out(tensors, str(path))
    with atomic_file(path) as file:
        file.write(header_bytes(entries, metadata))
        for entry in entries:
            written = 0
            for chunk in tensors[entry.name].chunks():
                written += file.write(chunk)
            if written != entry.stop - entry.start:
                raise TensorFileError(
                    f"tensor {entry.name!r} for {path} is {entry.dtype} {list(entry.shape)}, that is"
                    f" {entry.stop - entry.start} bytes, but {written} were given"
                )


def _laid_out(tensors: Mapping[str, TensorSource], source: str) -> list[Entry]:
    entries, start = [], 0
    for name, tensor in sorted(tensors.items(), key=lambda item: -ITEM_BYTES.get(item[1].dtype, 0)):
        check_name(name, source)
        if name == "__metadata__" or tensor.dtype not in ITEM_BYTES:
            raise TensorFileError(
                f"tensor {name!r} with dtype {tensor.dtype!r} cannot be written to {source};"
                f" known are {', '.join(ITEM_BYTES)}"
            )
        stop = start + tensor_bytes(tuple(tensor.shape), tensor.dtype)
        entries.append(Entry(name, tensor.dtype, tuple(tensor.shape), start, stop))
        start = stop
    return entries
