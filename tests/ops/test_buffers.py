"""Bytes to tensors and back."""

from __future__ import annotations

import pytest
import torch

from gemsmith.ops import buffers


@pytest.mark.parametrize("name", sorted(buffers.DTYPES))
def test_round_trip_without_a_copy(name: str) -> None:
    tensor = torch.arange(6).reshape(2, 3).to(buffers.DTYPES[name])
    view = buffers.from_buffer(buffers.to_buffer(tensor), name, (2, 3))
    assert torch.equal(view, tensor) and view.data_ptr() == tensor.data_ptr()


def test_read_only_bytes_give_a_tensor_without_a_warning() -> None:
    assert buffers.from_buffer(memoryview(bytes(8)), "F32", (2,)).tolist() == [0.0, 0.0]


def test_empty_tensors() -> None:
    assert buffers.from_buffer(memoryview(b""), "F32", (0, 3)).shape == (0, 3)
    assert buffers.to_buffer(torch.empty(0)).nbytes == 0


def test_a_transposed_tensor_is_written_row_by_row() -> None:
    assert bytes(buffers.to_buffer(torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8).T)) == bytes([1, 3, 2, 4])
