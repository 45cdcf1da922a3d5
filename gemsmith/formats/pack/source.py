"""What a pack is made from: tensors by released name, as floats or as GGUF's blocks, read a slab of rows at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gemsmith.config.model import ModelConfig
from gemsmith.errors import ModelFileError
from gemsmith.files import MappedFile
from gemsmith.formats.pack.policy import MATRIX_OF, ROWS_OF
from gemsmith.quant import BLOCK_ROWS, pack, pack_rows, row_bytes, unpack_rows
from gemsmith.quant.floats import as_floats, check_finite
from gemsmith.quant.layout import lay_out
from gemsmith.quant.rows import BLOCK_BYTES, CODES_OF, codes_of_rows, scales_of_rows

SLAB_VALUES = 1 << 21  # numbers of a tensor in hand at a time: 8 MB as float32


class SourceTensor(Protocol):
    """A tensor of a file: `dtype` is a key of `policy.MATRIX_OF`, `buffer` its bytes, row-major."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def buffer(self) -> memoryview: ...  # may be made at each look


class PackSource(Protocol):
    """A model that can be packed: a safetensors checkpoint, or a GGUF file."""

    @property
    def config(self) -> ModelConfig: ...
    @property
    def generation_config(self) -> Mapping[str, Any] | None: ...
    @property
    def tokenizer_path(self) -> Path | None: ...
    @property
    def chat_template(self) -> str | None: ...
    def __getitem__(self, name: str, /) -> SourceTensor: ...


class Rows:
    """A tensor as rows, whatever its rank: a stack of matrices has them one matrix after the other."""

    def __init__(self, name: str, tensor: SourceTensor, threads: int = 1):
        if tensor.dtype not in MATRIX_OF:
            raise ModelFileError(f"{name} is {tensor.dtype}; gemsmith packs {', '.join(MATRIX_OF)}")
        self.name, self.dtype, self.threads = name, tensor.dtype, threads
        self.cols = tensor.shape[-1] if tensor.shape else 1
        self._row_bytes = row_bytes(ROWS_OF[self.dtype], self.cols)
        buffer = tensor.buffer
        self._data = np.frombuffer(buffer, np.uint8)
        self.num_rows = self._data.nbytes // self._row_bytes
        self._file = buffer.obj if isinstance(buffer.obj, MappedFile) else None

    def bytes_of(self, first: int, last: int) -> np.ndarray:
        """The rows first … last-1 as they stand in the file, uint8 [R, row_bytes]."""
        return self._data[first * self._row_bytes : last * self._row_bytes].reshape(last - first, self._row_bytes)

    def floats(self, first: int, last: int) -> np.ndarray:
        """The rows first … last-1 as float32."""
        data = self.bytes_of(first, last)
        if self.dtype in ("F32", "F16", "BF16"):
            bits = data.reshape(-1).view(f"<u{self._row_bytes // self.cols}").reshape(last - first, self.cols)
            return as_floats(bits, ROWS_OF[self.dtype])
        self._check_scales(first, last)
        return unpack_rows(data, ROWS_OF[self.dtype], self.cols)

    def packed(self, first: int, last: int, format: str) -> np.ndarray:
        """The rows first … last-1 as a packed matrix: GGUF's blocks laid out anew where the format holds them."""
        rows = ROWS_OF[self.dtype]
        if rows in CODES_OF and format in (CODES_OF[rows], "q8"):
            self._check_scales(first, last)
            codes = codes_of_rows(self.bytes_of(first, last), rows, self.cols)
            same = CODES_OF[rows] == format
            return lay_out(codes.codes if same else codes.codes + np.uint8(120), codes.scales, format)
        return pack(self.floats(first, last), format, name=self.name, first_row=first, threads=self.threads)

    def table_rows(self, first: int, last: int, format: str) -> np.ndarray:
        """The rows first … last-1 of a table: as they are, where that is their format already."""
        if ROWS_OF[self.dtype] != format:
            return pack_rows(self.floats(first, last), format, name=self.name, first_row=first, threads=self.threads)
        if format in BLOCK_BYTES:
            self._check_scales(first, last)
        else:
            check_finite(self.floats(first, last), self.name, first)
        return self.bytes_of(first, last)

    def release(self, first: int, last: int) -> None:
        """Give the pages of these rows back."""
        if self._file is None:
            return
        base = np.frombuffer(self._file, np.uint8).ctypes.data
        start = self._data.ctypes.data - base + first * self._row_bytes
        self._file.release(start, start + (last - first) * self._row_bytes)

    def slab(self) -> int:
        """Rows to take at a time, whole blocks of them."""
        return max(1, SLAB_VALUES // (self.cols * BLOCK_ROWS)) * BLOCK_ROWS

    def _check_scales(self, first: int, last: int) -> None:
        scales = scales_of_rows(self.bytes_of(first, last), ROWS_OF[self.dtype])
        check_finite(scales, f"a scale of {self.name}", first)
