"""The header of a safetensors file: strict text to entries, and entries to text.

The format (https://github.com/huggingface/safetensors, README, "Format"): eight bytes of little-endian length,
that many bytes of JSON, then the tensors' bytes without gap or overlap to the end of the file. The JSON maps each
name to `{"dtype", "shape", "data_offsets"}`, and optionally `__metadata__` to an object of strings.

A header is read entry by entry instead of as one JSON document: a hostile one then fails at its first bad or
surplus entry, and never becomes a million Python objects. Each entry is a flat JSON object of a few hundred bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from gemsmith.errors import TensorFileError
from gemsmith.formats.tensor import ITEM_BYTES

MAX_HEADER_BYTES = 100_000_000  # the reference implementation's limit
MAX_TENSORS = 1 << 15  # E2B has 2,011; 26B-A4B with a tensor for every expert would have 12,000
MAX_NAME_CHARS = 512
MAX_ENTRY_BYTES = 1024
MAX_METADATA_BYTES = 1 << 20
MAX_RANK = 8
ALIGNMENT = 64  # of the first tensor's bytes: a cache line

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_ENTRY = re.compile(
    rb"[ \t\r\n]*+(?P<name>" + _STRING + rb")[ \t\r\n]*+:[ \t\r\n]*+"
    rb'(?P<value>\{(?:[^{}"]++|' + _STRING + rb")*+\})[ \t\r\n]*+(?P<next>[,}])",
    re.DOTALL,
)
_EMPTY = re.compile(rb"\{[ \t\r\n]*+\}")
_BLANKS = re.compile(rb"[ \t\r\n]*+")


class Entry(NamedTuple):
    """Where one tensor lies: `start` and `stop` count bytes from the end of the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def parse_header(data: memoryview, source: str) -> tuple[list[Entry], dict[str, str], int]:
    """Entries in file order, metadata, and the offset of the first tensor byte in `data`, a whole file.

    Raises TensorFileError naming `source` and the tensor unless the entries tile the rest of the file exactly.
    """
    end = 8 + _header_bytes(data, source)
    entries, metadata = _read_entries(data, end, source)
    _check_tiling(entries, len(data) - end, source)
    return entries, metadata, end


def header_bytes(entries: Iterable[Entry], metadata: Mapping[str, str], alignment: int = ALIGNMENT) -> bytes:
    """Length and JSON text, padded with spaces so that the tensors start on a multiple of `alignment`."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    for entry in entries:
        header[entry.name] = {"dtype": entry.dtype, "shape": entry.shape, "data_offsets": (entry.start, entry.stop)}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-(8 + len(text)) % alignment)
    if len(text) > MAX_HEADER_BYTES:
        raise TensorFileError(
            f"the header would have {len(text)} bytes, the format allows {MAX_HEADER_BYTES}; write shards"
        )
    return len(text).to_bytes(8, "little") + text


def check_name(name: str, source: str) -> None:
    """Refuse names that a filesystem, a terminal or another reader would trip over."""
    if not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise TensorFileError(
            f"{source} has a tensor name of {len(name)} characters, {name[:40]!a}: names must be printable,"
            f" of 1 to {MAX_NAME_CHARS} characters; the file is damaged or hostile"
        )


def _header_bytes(data: memoryview, source: str) -> int:
    if len(data) < 10:
        raise TensorFileError(f"{source} has {len(data)} bytes, too few for a safetensors header; download it again")
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= MAX_HEADER_BYTES:
        raise TensorFileError(
            f"{source} announces a header of {length} bytes, allowed are 2 to {MAX_HEADER_BYTES};"
            " this is no safetensors file"
        )
    if 8 + length > len(data):
        raise TensorFileError(
            f"{source} is cut short: its header needs {8 + length} bytes, the file has {len(data)}; download it again"
        )
    return length


def _read_entries(data: memoryview, end: int, source: str) -> tuple[list[Entry], dict[str, str]]:
    entries: dict[str, Entry] = {}
    metadata: dict[str, str] | None = None
    for name, raw in _items(data, end, source):
        if name in entries or (name == "__metadata__" and metadata is not None):
            raise TensorFileError(f"the header of {source} has {name!r} twice; the file is damaged or hostile")
        if name == "__metadata__":
            metadata = _metadata(raw, source)
            continue
        if len(entries) == MAX_TENSORS:
            raise TensorFileError(f"{source} lists more than {MAX_TENSORS} tensors; is this a model?")
        entries[name] = _entry(name, raw, source)
    return list(entries.values()), metadata or {}


def _items(data: memoryview, end: int, source: str) -> Iterator[tuple[str, bytes]]:
    """Names and raw flat objects of the header's one object, which must fill it but for blanks at its end."""
    if data[8] != ord("{"):
        raise TensorFileError(f"the header of {source} does not begin with '{{'; this is no safetensors file")
    empty = _EMPTY.match(data, 8, end)
    position, more = (empty.end(), False) if empty else (9, True)
    while more:
        match = _ENTRY.match(data, position, end)
        if match is None:
            raise TensorFileError(f"the header of {source} is not valid after byte {position}; download it again")
        yield _name(match["name"], source), match["value"]
        position, more = match.end(), match["next"] == b","
    if _BLANKS.fullmatch(data, position, end) is None:
        raise TensorFileError(
            f"the header of {source} goes on after its last brace, at byte {position}; download it again"
        )


def _name(raw: bytes, source: str) -> str:
    if len(raw) > 6 * MAX_NAME_CHARS + 2:  # every character may be written as \uXXXX
        raise TensorFileError(f"{source} has a tensor name of {len(raw)} bytes; the file is damaged or hostile")
    try:
        text = json.loads(raw)
        text.encode("utf-8")  # a lone surrogate cannot be
    except ValueError as cause:
        raise TensorFileError(f"{source} has a tensor name that is not text ({cause}); the file is damaged") from cause
    check_name(text, source)
    return text


def _entry(name: str, raw: bytes, source: str) -> Entry:
    fields = _flat_object(raw, MAX_ENTRY_BYTES, f"tensor {name!r} of {source}")
    if fields.keys() != {"dtype", "shape", "data_offsets"}:
        raise TensorFileError(
            f"tensor {name!r} of {source} must have dtype, shape and data_offsets, found {sorted(fields)}"
        )
    dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise TensorFileError(f"tensor {name!r} of {source} has dtype {dtype!r}; known are {', '.join(ITEM_BYTES)}")
    if not _is_naturals(shape) or len(shape) > MAX_RANK or not _is_naturals(offsets) or len(offsets) != 2:
        raise TensorFileError(
            f"tensor {name!r} of {source} has shape {shape!r} and data_offsets {offsets!r}: expected up to {MAX_RANK}"
            " sizes and two offsets, none negative; the file is damaged or hostile"
        )
    return Entry(name, dtype, tuple(shape), *offsets)


def _metadata(raw: bytes, source: str) -> dict[str, str]:
    metadata = _flat_object(raw, MAX_METADATA_BYTES, f"__metadata__ of {source}")
    if not all(isinstance(value, str) for value in metadata.values()):
        raise TensorFileError(f"__metadata__ of {source} must map strings to strings; the file is damaged or hostile")
    return metadata


def _flat_object(raw: bytes, limit: int, what: str) -> dict[str, Any]:
    if len(raw) > limit:
        raise TensorFileError(
            f"{what} takes {len(raw)} bytes of header, the limit is {limit}; the file is damaged or hostile"
        )
    try:
        return json.loads(
            raw, object_pairs_hook=_unique, parse_int=_natural, parse_float=_refuse, parse_constant=_refuse
        )
    except (ValueError, RecursionError) as cause:
        raise TensorFileError(f"{what} cannot be read ({cause}); the file is damaged or hostile") from cause


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(out := dict(pairs)) != len(pairs):
        raise ValueError("a key occurs twice")
    return out


def _natural(digits: str) -> int:
    if len(digits) > 19 or digits.startswith("-"):
        return _refuse(digits)
    return int(digits)


def _refuse(text: str) -> Any:
    raise ValueError(f"{text[:40]} is not a size")


def _is_naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int for item in value)


def _check_tiling(entries: list[Entry], data_bytes: int, source: str) -> None:
    """Every byte after the header belongs to exactly one tensor, and to each as many as its shape says."""
    entries.sort(key=lambda entry: (entry.start, entry.stop))
    position = 0
    for name, dtype, shape, start, stop in entries:
        nbytes = ITEM_BYTES[dtype]
        for size in shape:
            nbytes *= size
            if nbytes >= 1 << 63:
                raise TensorFileError(
                    f"tensor {name!r} of {source} has impossible shape {list(shape)}; the file is hostile"
                )
        if stop - start != nbytes:
            raise TensorFileError(
                f"tensor {name!r} of {source} is {dtype} {list(shape)}, that is {nbytes} bytes, but its offsets"
                f" {start} to {stop} hold {stop - start}; download the file again"
            )
        if start != position:
            kind = "leaves a gap before" if start > position else "overlaps another tensor at"
            raise TensorFileError(f"tensor {name!r} of {source} {kind} offset {start}; the file is damaged or hostile")
        position = stop
        if position > data_bytes:
            raise TensorFileError(
                f"{source} is cut short: tensor {name!r} ends at data byte {stop}, the file has {data_bytes};"
                " download it again"
            )
    if position != data_bytes:
        raise TensorFileError(
            f"{source} has {data_bytes - position} bytes after its last tensor; the file is damaged or hostile,"
            " download it again"
        )
