"""The header of a pack: a safetensors header whose metadata say what each tensor is, and its SHA-256.

`__metadata__` has two strings. "gemsmith" is JSON: {"version", "policy", "tensors": {name: [format, arrangement, rows,
cols, count, sha256]}, "files": {name: sha256}}, these of the small files beside it. "header_sha256" is the sum of the
whole header, taken with sixty-four zeros in its place, so that a flipped bit anywhere in the file is found: those of
the header whenever it is opened, those of a tensor by `verify`.

Packed tensors are U8, padded with zeros to whole pages, matrices first, then the table; then come float32 vectors and
the senses' tensors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from gemsmith.config.document import parse_document
from gemsmith.errors import ConfigError, TensorFileError
from gemsmith.formats.header import Entry, header_bytes, parse_header
from gemsmith.formats.pack.plan import PackedTensor
from gemsmith.hub.names import PACK_FILE

VERSION = 1
__all__ = ["PACK_FILE", "PAGE", "Described", "Head", "entries_of", "header_of", "read_header", "stored_as"]

PAGE = 4096
UNKNOWN_SUM = "0" * 64
_SUM_KEY = b'"header_sha256":"'
_STORED = {"f32": "F32", "f16": "F16", "bf16": "BF16"}


class Described(NamedTuple):
    """What the header says of a tensor."""

    format: str
    arrangement: str
    rows: int
    cols: int
    num_matrices: int
    sha256: str


def entries_of(tensors: tuple[PackedTensor, ...], formats: Mapping[str, str]) -> list[Entry]:
    """Where each tensor will lie, in file order."""
    entries, start = [], 0
    for tensor in sorted(tensors, key=lambda tensor: _place(tensor, formats[tensor.name])):
        dtype, shape, nbytes = stored_as(tensor, formats[tensor.name])
        entries.append(Entry(tensor.name, dtype, shape, start, start + nbytes))
        start += nbytes
    return entries


def stored_as(tensor: PackedTensor, format: str) -> tuple[str, tuple[int, ...], int]:
    """Dtype, shape and bytes of a tensor in the file."""
    nbytes = tensor.nbytes(format)
    if tensor.arrangement in ("vector", "plain"):
        return _STORED[format], tensor.shape, nbytes
    padded = nbytes + -nbytes % PAGE
    return "U8", (padded,), padded


class Head(NamedTuple):
    """A header, read."""

    entries: list[Entry]
    policy: str
    described: dict[str, Described]
    files: dict[str, str] | None  # sums of the small files beside it; None in packs written before there were any
    start: int  # of the data


def header_of(entries: list[Entry], policy: str, described: Mapping[str, Described], files: Mapping[str, str]) -> bytes:
    """The header's bytes, a whole number of pages; their number does not depend on the tensors' sums."""
    data = {"version": VERSION, "policy": policy, "tensors": described, "files": files}
    metadata = {"header_sha256": UNKNOWN_SUM, "gemsmith": json.dumps(data, separators=(",", ":"))}
    header = header_bytes(entries, metadata, alignment=PAGE)
    return header.replace(UNKNOWN_SUM.encode(), hashlib.sha256(header).hexdigest().encode(), 1)


def read_header(data: memoryview, source: str) -> Head:
    """The header of a pack; TensorFileError for anything odd."""
    entries, metadata, start = parse_header(data, source)
    if "gemsmith" not in metadata:
        raise TensorFileError(f"{source} is a safetensors file but no pack of gemsmith's; make one: gemsmith quantize")
    _check_sum(bytes(data[:start]), source)
    try:
        said = parse_document(metadata["gemsmith"].encode(), source)
    except ConfigError as cause:
        raise TensorFileError(f"the metadata of {source} cannot be read ({cause}); pack the model again") from cause
    if said.get("version") != VERSION:
        raise TensorFileError(
            f"{source} is a pack of version {str(said.get('version'))[:20]}, this gemsmith reads {VERSION}: pack the"
            " model again, or install the gemsmith that made it"
        )
    policy, tensors, files = said.get("policy"), said.get("tensors"), said.get("files")
    if not isinstance(policy, str) or not isinstance(tensors, dict):
        raise TensorFileError(f"the metadata of {source} lack policy or tensors; pack the model again")
    if files is not None and not (isinstance(files, dict) and all(isinstance(value, str) for value in files.values())):
        raise TensorFileError(f"{source} says of its files what cannot be understood; pack the model again")
    described = {name: _described(name, value, source) for name, value in tensors.items()}
    return Head(entries, policy, described, files, start)


def _check_sum(header: bytes, source: str) -> None:
    at = header.find(_SUM_KEY) + len(_SUM_KEY)
    told = header[at : at + 64]
    blank = header[:at] + UNKNOWN_SUM.encode() + header[at + 64 :]
    if at < len(_SUM_KEY) or hashlib.sha256(blank).hexdigest().encode() != told:
        raise TensorFileError(f"the header of {source} is damaged: its checksum is wrong; pack the model again")


def _described(name: str, value: Any, source: str) -> Described:
    if isinstance(value, list) and len(value) == 6:
        found = Described(*value)
        texts = isinstance(found.format, str) and isinstance(found.arrangement, str) and isinstance(found.sha256, str)
        if texts and all(type(n) is int for n in (found.rows, found.cols, found.num_matrices)):
            return found
    raise TensorFileError(f"{source} says of tensor {name!r} what cannot be understood; pack the model again")


def _place(tensor: PackedTensor, format: str) -> int:
    if tensor.arrangement in ("vector", "plain"):
        return 2 if format == "f32" else 3
    return int(tensor.arrangement == "table")
