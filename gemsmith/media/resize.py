"""The size a picture gets before a model sees it, and the resizing: bicubic with antialias, as Gemma 4 was released.

The rule is the one of the released image processor (transformers, image_processing_pil_gemma4.py): the largest sides
that are multiples of 48, nearly keep the picture's proportions, and give at most `tokens` squares of 48 x 48 pixels.
Pictures are made larger as well as smaller. Nothing here reads a file.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gemsmith.errors import MediaError, RequestError
from gemsmith.media.told import told

if TYPE_CHECKING:
    from PIL.Image import Image

BUDGETS = (70, 140, 280, 560, 1120)  # soft tokens of one picture that the model was trained for
SIDE = 48  # pixels along each side of the square that becomes one soft token: 3 x 3 patches of 16 x 16


def fitted_size(width: int, height: int, tokens: int) -> tuple[int, int]:
    """(width, height) of a picture once it is resized to its budget of soft tokens."""
    check_budget(tokens)
    _check_sides(width, height)
    factor = math.sqrt(tokens * SIDE**2 / (height * width))
    fitted_height = math.floor(factor * height / SIDE) * SIDE
    fitted_width = math.floor(factor * width / SIDE) * SIDE
    # more than `tokens` times as long as it is narrow: all the squares in one row, or column
    if fitted_height == 0:
        return tokens * SIDE, SIDE
    if fitted_width == 0:
        return SIDE, tokens * SIDE
    return fitted_width, fitted_height


def check_budget(tokens: int) -> None:
    """Refuse a budget that the model was not trained for."""
    if type(tokens) is not int or tokens not in BUDGETS:
        *firsts, last = BUDGETS
        raise RequestError(
            f"a picture takes {', '.join(map(str, firsts))} or {last} tokens, and {told(tokens)} was asked"
        )


def resized(picture: Image | np.ndarray, tokens: int) -> np.ndarray:
    """`rgb` uint8 [H, W, 3] of an upright RGB picture (Pillow's, or uint8 [H, W, 3]), resized to its budget."""
    from PIL import Image

    if isinstance(picture, np.ndarray):
        assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3, (picture.dtype, picture.shape)
        picture = Image.fromarray(np.ascontiguousarray(picture))
    assert picture.mode == "RGB", picture.mode
    return np.array(picture.resize(fitted_size(*picture.size, tokens), Image.Resampling.BICUBIC))


def check_pixels(width: int, height: int, most: int) -> None:
    """Refuse a picture with more pixels than are decoded, or none; asked of its header, before any of them is."""
    _check_sides(width, height)
    if width * height > most:
        raise MediaError(
            "media_too_large",
            f"a picture of {width} x {height} pixels is more than the {most} that are read; save it smaller",
        )


def _check_sides(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise MediaError("media_damaged", f"a picture of {width} x {height} pixels holds nothing to see")
