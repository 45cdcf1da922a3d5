"""A tensor's bytes as numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gemsmith.errors import TensorFileError
from gemsmith.formats.tensor import TensorView, tensor_bytes


def test_every_bfloat16_widens_as_torch_does():
    bits = np.arange(1 << 16, dtype=np.uint16)
    ours = TensorView("a", (256, 256), "BF16", memoryview(bits.tobytes())).numpy()
    theirs = torch.from_numpy(bits.view(np.int16)).view(torch.bfloat16).float().view(256, 256).numpy()
    np.testing.assert_array_equal(ours.view(np.uint32), theirs.view(np.uint32))


def test_float32_is_not_copied():
    data = np.ones(3, np.float32)
    assert np.shares_memory(TensorView("a", (3,), "F32", memoryview(data).cast("B")).numpy(), data)


def test_a_scalar_has_no_dimensions():
    assert TensorView("a", (), "F32", memoryview(np.float32(2).tobytes())).numpy() == np.float32(2)
    assert tensor_bytes((), "F32") == 4 and tensor_bytes((0, 3), "BF16") == 0


def test_eight_bit_floats_have_no_numpy_form():
    with pytest.raises(TensorFileError, match="F8_E4M3"):
        TensorView("a", (1,), "F8_E4M3", memoryview(b"1")).numpy()
