"""The bytes of one tensor of a pack, made slab by slab from the released tensors it consists of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gemsmith.formats.pack.plan import EXPERT_GATE_UP, PackedTensor
from gemsmith.formats.pack.source import PackSource, Rows
from gemsmith.quant import PLANES, digits, lower_plane, row_block_bytes, upper_plane
from gemsmith.quant.floats import check_finite


def content(
    tensor: PackedTensor, format: str, source: PackSource, threads: int = 1
) -> Iterator[tuple[np.ndarray, int]]:
    """Bytes in order, and how many numbers of the source each piece is made of. ModelFileError for NaN, by name."""
    parts = [Rows(name, source[name], threads) for name in tensor.parts]
    if format == PLANES:
        yield from _planes(parts[0])
    elif tensor.arrangement == "rows":
        yield from _matrix(parts[0], 0, tensor.rows, format)
    elif tensor.arrangement == "interleaved":
        gate, up = parts
        yield from _interleaved(gate, 0, up, 0, gate.num_rows, format)
    elif tensor.arrangement == "stacked":
        yield from _stacked(tensor, parts[0], format)
    elif tensor.arrangement == "table":
        yield from _table(parts[0], format)
    else:
        yield _vector(parts[0], format)


def _matrix(part: Rows, first: int, last: int, format: str) -> Iterator[tuple[np.ndarray, int]]:
    for a, b in _slabs(part, first, last):
        yield part.packed(a, b, format), (b - a) * part.cols
        part.release(a, b)


def _planes(part: Rows) -> Iterator[tuple[np.ndarray, int]]:
    """The upper plane, then the lower one: the source is read twice, and neither is ever held as a whole."""
    known = []
    for a, b in _slabs(part, 0, part.num_rows):
        yield upper_plane(part.packed(a, b, "q8"), part.cols), (b - a) * part.cols // 2
        part.release(a, b)
    for a, b in _slabs(part, 0, part.num_rows):
        packed = part.packed(a, b, "q8")
        known.append(digits(packed, part.cols))
        yield lower_plane(packed, part.cols), (b - a) * part.cols - (b - a) * part.cols // 2
        part.release(a, b)
    yield np.concatenate(known).view(np.uint8).reshape(-1), 0


def _interleaved(
    gate: Rows, gate_row: int, up: Rows, up_row: int, num_rows: int, format: str
) -> Iterator[tuple[np.ndarray, int]]:
    """Blocks of 32 rows of `gate` and of `up`, in turn."""
    nbytes = row_block_bytes(format, gate.cols)
    for a, b in _slabs(gate, 0, num_rows):
        both = [
            part.packed(row + a, row + b, format).reshape(-1, nbytes) for part, row in ((gate, gate_row), (up, up_row))
        ]
        yield np.stack(both, axis=1).reshape(-1), 2 * (b - a) * gate.cols
        gate.release(gate_row + a, gate_row + b)
        up.release(up_row + a, up_row + b)


def _stacked(tensor: PackedTensor, part: Rows, format: str) -> Iterator[tuple[np.ndarray, int]]:
    """Expert by expert; one's gate and up stand in the file as the halves of one matrix."""
    each = part.num_rows // tensor.count
    for row in range(0, part.num_rows, each):
        if tensor.name.endswith(EXPERT_GATE_UP):
            yield from _interleaved(part, row, part, row + each // 2, each // 2, format)
        else:
            yield from _matrix(part, row, row + each, format)


def _table(part: Rows, format: str) -> Iterator[tuple[np.ndarray, int]]:
    for a, b in _slabs(part, 0, part.num_rows):
        yield part.table_rows(a, b, format).reshape(-1), (b - a) * part.cols
        part.release(a, b)


def _vector(part: Rows, format: str) -> tuple[np.ndarray, int]:
    values = part.floats(0, part.num_rows)
    check_finite(values[0] if part.num_rows == 1 else values, part.name)
    if format == "f32":
        data = np.ascontiguousarray(values, "<f4").view(np.uint8)
    else:
        data = part.bytes_of(0, part.num_rows)
    return data.reshape(-1), values.size


def _slabs(part: Rows, first: int, last: int) -> Iterator[tuple[int, int]]:
    step = part.slab()
    for row in range(first, last, step):
        yield row, min(row + step, last)
