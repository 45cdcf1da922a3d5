"""One tensor of a file: name, shape, dtype and bytes, with no opinion about what computes with them.

Dtypes are spelt as in safetensors (`"BF16"`, `"F32"`, …) or, for blocks of quantised numbers, as in GGUF (`"Q4_0"`).
Bytes are little-endian and row-major.
Nothing here copies except `numpy()`, which is for tests and tools.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Protocol

from gemsmith.errors import TensorFileError
from gemsmith.formats.blocks import BLOCK_BYTES, dequantised

if TYPE_CHECKING:
    import numpy as np

ITEM_BYTES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "F8_E8M0": 1,
    "U16": 2,
    "I16": 2,
    "F16": 2,
    "BF16": 2,
    "U32": 4,
    "I32": 4,
    "F32": 4,
    "U64": 8,
    "I64": 8,
    "F64": 8,
}
"""Bytes of one element. The format's 4- and 6-bit floats are absent: no Gemma 4 checkpoint uses them."""

FLOAT_DTYPES = ("BF16", "F16", "F32")  # of a model's weights, unquantised

_NUMPY_DTYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "F16": "<f2",
    "U32": "<u4",
    "I32": "<i4",
    "F32": "<f4",
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
}


class TensorSource(Protocol):
    """What can be written into a file: a shape, a dtype, and its bytes in order."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str: ...
    def chunks(self) -> Iterable[bytes | memoryview]: ...


@dataclass(frozen=True, eq=False)
class TensorView:
    """A tensor whose bytes are already somewhere: mostly read-only pages of a mapped file."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    buffer: memoryview = field(repr=False)  # flat bytes; keeps the file mapped as long as it lives

    @property
    def nbytes(self) -> int:
        return self.buffer.nbytes

    def chunks(self) -> Iterator[memoryview]:
        """The bytes, for a writer."""
        yield self.buffer

    def numpy(self) -> np.ndarray:
        """Floats and quantised blocks as float32 (a copy, unless they are that already), the rest in its own type."""
        import numpy as np

        if self.dtype in BLOCK_BYTES:
            return dequantised(self.buffer, self.dtype).reshape(self.shape)
        if self.dtype == "BF16":  # the upper half of a float32
            bits = np.frombuffer(self.buffer, "<u2").astype(np.uint32) << 16
            return bits.view(np.float32).reshape(self.shape)
        if self.dtype not in _NUMPY_DTYPES:
            raise TensorFileError(
                f"tensor {self.name!r} is {self.dtype}, which numpy cannot hold; read `buffer` instead"
            )
        array = np.frombuffer(self.buffer, _NUMPY_DTYPES[self.dtype]).reshape(self.shape)
        return array.astype(np.float32, copy=False) if self.dtype.startswith("F") else array


@dataclass(frozen=True, eq=False)
class TensorStream:
    """A tensor that is made while it is written, so that a large one never stands in memory whole."""

    shape: tuple[int, ...]
    dtype: str
    buffers: Iterable[bytes | memoryview] = field(repr=False)

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The bytes, for a writer; an iterator can be consumed once."""
        yield from self.buffers


def tensor_bytes(shape: tuple[int, ...], dtype: str) -> int:
    """Bytes that a tensor of this shape and dtype fills."""
    return prod(shape) * ITEM_BYTES[dtype]
