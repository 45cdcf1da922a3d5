"""The decoding process: a child that can crash, hang or run out of memory, and nothing else is touched.

    values, arrays = run("picture", file, {"tokens": 280}, settings)

Files made by strangers meet a decoder only there. The child has a memory limit, writes no file, has none of the
parent's environment, and is killed when it takes too long; see `limits` and `process`. It is no sandbox: it may read
what its user may read.
"""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from gemsmith.media.settings import MediaSettings
from gemsmith.media.worker.texts import failed

__all__ = ["expected", "expected_size", "failed", "run", "warm"]


def run(
    job: str, file: BinaryIO, options: dict[str, Any], settings: MediaSettings
) -> tuple[dict[str, Any], list[np.ndarray]]:
    """What a job of `gemsmith.media.jobs` makes of an open file (one with a descriptor); MediaError if it fails.

    Callable from any thread. Two jobs run at a time, each in a process of its own; a third waits.
    """
    from gemsmith.media.worker.pool import shared

    return shared().run(job, file, options, settings)


def warm(settings: MediaSettings) -> None:
    """Start a decoding process in the background, so that the first file need not wait for it."""
    from gemsmith.media.worker.pool import shared

    shared().warm(settings)


def expected(array: np.ndarray, dtype: str, *shape: int | None) -> np.ndarray:
    """`array`, if it has this type and shape (None is any size but 0); else the error for a decoder's nonsense."""
    fits = len(array.shape) == len(shape) and all(
        found > 0 if wanted is None else found == wanted for found, wanted in zip(array.shape, shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        raise failed("nonsense")
    return array


def expected_size(size: object, settings: MediaSettings) -> tuple[int, int]:
    """(width, height) of a picture, if it can be one that was allowed; else the error for a decoder's nonsense."""
    match size:
        case [int(width), int(height)] if width > 0 and height > 0 and width * height <= settings.max_pixels:
            return width, height
    raise failed("nonsense")
