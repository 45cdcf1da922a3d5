"""Bytes to torch tensors and back, without a copy. Dtypes are spelt as in safetensors ("BF16", "F32", …)."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

DTYPES: dict[str, torch.dtype] = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def from_buffer(buffer: memoryview, dtype: str, shape: tuple[int, ...]) -> Tensor:
    """A tensor over the buffer's own bytes. Read-only pages stay read-only: do not write into the result."""
    if not buffer.nbytes:
        return torch.empty(shape, dtype=DTYPES[dtype])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given buffer is not writable")
        return torch.frombuffer(buffer, dtype=DTYPES[dtype]).view(shape)


def to_buffer(tensor: Tensor) -> memoryview:
    """The bytes of a tensor, row-major; copied only if it is not contiguous or not on the processor."""
    flat = tensor.detach().cpu().contiguous().view(-1)
    return memoryview(flat.view(torch.uint8).numpy().data) if flat.numel() else memoryview(b"")
