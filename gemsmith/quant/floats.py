"""Float types that numpy knows and the one it does not: bfloat16 is the upper half of a float32."""

from __future__ import annotations

import numpy as np

from gemsmith.errors import ModelFileError

LARGEST_FLOAT16 = 65504.0


def float_bits(values: np.ndarray, format: str) -> np.ndarray:
    """Float32 values as the bits of "f32", "f16" or "bf16", rounded to nearest even; same shape."""
    values = np.ascontiguousarray(values, np.float32)
    if format == "f32":
        return values.view("<u4")
    if format == "f16":
        with np.errstate(over="ignore"):
            return values.astype("<f2").view("<u2")
    assert format == "bf16", format
    bits = values.view(np.uint32)
    return ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype("<u2")


def as_floats(bits: np.ndarray, format: str) -> np.ndarray:
    """Bits of "f32", "f16" or "bf16" as float32; same shape."""
    if format == "f32":
        return bits.view("<f4").astype(np.float32, copy=False)
    if format == "f16":
        return bits.view("<f2").astype(np.float32)
    assert format == "bf16", format
    return (bits.astype(np.uint32) << 16).view(np.float32)


def check_finite(values: np.ndarray, name: str, first_row: int = 0) -> None:
    """ModelFileError naming the tensor and the first place of a NaN or an infinity."""
    if np.isfinite(values).all():
        return
    flat = int(np.argmin(np.isfinite(values)))
    place = [int(i) for i in np.unravel_index(flat, values.shape)]
    found = values[tuple(place)]
    place[0] += first_row
    raise ModelFileError(
        f"{name} holds {found} at {place}; a model with such a weight answers nonsense, so it is not packed: download"
        " the checkpoint again, or ask whoever trained it"
    )


def check_fits_float16(values: np.ndarray, largest: float, name: str) -> None:
    """ModelFileError where a number is beyond what its format holds: a float16 of its own, or a float16 scale."""
    if values.size and (most := float(np.max(np.abs(values)))) > largest:
        raise ModelFileError(
            f"{name} holds a number of size {most:g}, this format holds {largest:g} at most; pack it with --to exact"
        )
