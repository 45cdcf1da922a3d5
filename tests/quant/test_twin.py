"""The native twin of packing gives the bytes of the definition in numpy, whatever the numbers."""

from __future__ import annotations

import numpy as np
import pytest

from gemsmith.quant.packing import pack_slowly
from gemsmith.quant.rows import CODES_OF, pack_rows_slowly
from gemsmith.quant.twin import twin

native = twin()
pytestmark = pytest.mark.skipif(native is None, reason="the native engine is not built")

KINDS = ("normal", "heavy", "sparse", "grid")


def numbers(kind: str, rows: int, cols: int, size: float) -> np.ndarray:
    rng = np.random.default_rng(rows * cols)
    x = rng.standard_t(3, (rows, cols)) if kind == "heavy" else rng.standard_normal((rows, cols))
    if kind == "sparse":
        x[rng.random((rows, cols)) < 0.9] = 0
    if kind == "grid":  # many ties
        x = np.rint(3 * x) / 3
    return np.ascontiguousarray(np.clip(x * size, -9e4, 9e4), np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("rows, cols", [(1, 1), (1, 33), (64, 64), (70, 100), (33, 640)])
@pytest.mark.parametrize("size", [1e4, 1.0, 0.03, 3e-6, 1e-7, 2e-8, 1e-30])
def test_bytes_are_equal(rows: int, cols: int, size: float) -> None:
    assert native is not None
    for kind in KINDS:
        x = numbers(kind, rows, cols, size)
        for format in ("q8", "q4", "q2"):
            expected = pack_slowly(x, format)
            for threads in (1, 3):
                assert np.array_equal(native.pack_matrix(x, format, threads), expected), (kind, format, threads)
        for format in CODES_OF:
            expected = pack_rows_slowly(x, format)
            assert np.array_equal(native.pack_table(x, format, 2), expected), (kind, format)
