"""Every number of a checkpoint looked at once: NaN, infinity, and matrices that are nothing but zeros.

Reads the bytes as integers, some megabytes at a time, whatever the size of the file. Of quantised blocks the scale
tells both: the other numbers in them are integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gemsmith.formats.blocks import BLOCK_BYTES
from gemsmith.formats.tensor import TensorView

if TYPE_CHECKING:
    import numpy as np

CHUNK = 8 << 20  # bytes
EXPONENTS = {"BF16": ("<u2", 0x7F80), "F16": ("<u2", 0x7C00), "F32": ("<u4", 0x7F800000)}  # all ones: no number
SCALE_AT = {"Q4_0": 0, "Q8_0": 0, "Q6_K": 208}  # where in a block the float16 is that all of it is multiplied by


@dataclass
class Scan:
    """What was found, by tensor name."""

    nbytes: int = 0
    not_finite: dict[str, int] = field(default_factory=dict)  # how many numbers, or scales of blocks
    all_zero: list[str] = field(default_factory=list)


def scan(tensors: Mapping[str, TensorView], say: Callable[[int], None]) -> Scan:
    """Look at every float tensor; `say` hears how many bytes are done."""
    found = Scan()
    for name, view in tensors.items():
        if view.dtype not in EXPONENTS and view.dtype not in SCALE_AT:
            continue
        bad, used = 0, False
        step = CHUNK - CHUNK % BLOCK_BYTES.get(view.dtype, 1)
        for start in range(0, view.nbytes, step):
            piece = view.buffer[start : start + step]
            not_finite, some = _look(piece, view.dtype)
            bad, used = bad + not_finite, used or some
            found.nbytes += len(piece)
            say(found.nbytes)
        if bad:
            found.not_finite[name] = bad
        if not used and len(view.shape) > 1:
            found.all_zero.append(name)
    return found


def _look(piece: memoryview, dtype: str) -> tuple[int, bool]:
    """How many numbers of a piece are NaN or infinite, and whether any is not zero."""
    import numpy as np

    bits: np.ndarray
    if dtype in SCALE_AT:
        blocks, at = np.frombuffer(piece, np.uint8).reshape(-1, BLOCK_BYTES[dtype]), SCALE_AT[dtype]
        kind, exponent = EXPONENTS["F16"]
        bits = np.ascontiguousarray(blocks[:, at : at + 2]).view(kind)
    else:
        kind, exponent = EXPONENTS[dtype]
        bits = np.frombuffer(piece, kind)
    return int(np.count_nonzero((bits & exponent) == exponent)), bool(bits.any())
