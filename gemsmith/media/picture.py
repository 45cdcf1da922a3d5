"""One picture, from whatever a caller has, as a model sees it.

Files, bytes and addresses are decoded in the child process, and so is what Pillow has opened but not decoded. What is
already pixels (arrays, decoded Pillow images) is only resized, here.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from gemsmith.errors import MediaError, MissingDependencyError
from gemsmith.media import worker
from gemsmith.media.prepared import Pixels
from gemsmith.media.resize import check_budget, check_pixels, fitted_size, resized
from gemsmith.media.settings import MediaSettings
from gemsmith.media.source import check_size, open_source, unnamed_file

if TYPE_CHECKING:
    from PIL.Image import Image

SHAPES = "give uint8, or fractions from 0 to 1, as [height, width], [height, width, 1], [..., 3] or [..., 4]"


def picture(source: Any, *, tokens: int = 280, settings: MediaSettings | None = None) -> Pixels:
    """A picture resized to its budget of soft tokens: 70, 140, 280, 560 or 1120.

    `source` is a path, bytes, a data: URL, an address (where `settings` allow it), a PIL image, or an array: uint8 or
    fractions from 0 to 1, of shape [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] (the last is opacity, shown on white).
    """
    check_budget(tokens)
    settings = settings or MediaSettings()
    if isinstance(source, np.ndarray):
        return _of_image(image_of_array(source, settings), tokens, settings)
    if "PIL.Image" in sys.modules and isinstance(source, sys.modules["PIL.Image"].Image):
        return _of_image(source, tokens, settings)
    with open_source(source, settings) as (file, _):
        return _decoded(file, tokens, settings)


def _decoded(file: BinaryIO, tokens: int, settings: MediaSettings, frame: int = 0) -> Pixels:
    """What the child makes of a file, checked, since it is not trusted."""
    options = {"tokens": tokens, "max_pixels": settings.max_pixels, "frame": frame}
    values, arrays = worker.run("picture", file, options, settings)
    if len(arrays) != 1:
        raise worker.failed("nonsense")
    size = worker.expected_size(values.get("size"), settings)
    fitted_width, fitted_height = fitted_size(*size, tokens)
    return Pixels(worker.expected(arrays[0], "uint8", fitted_height, fitted_width, 3), size)


def _of_image(image: Image, tokens: int, settings: MediaSettings) -> Pixels:
    from gemsmith.media.rgb import is_undecoded

    check_pixels(*image.size, settings.max_pixels)
    if is_undecoded(image):
        with unnamed_file() as file:
            if copied_file(image, file, settings):
                return _decoded(file, tokens, settings, frame=image.tell())
    upright = upright_image(image)
    return Pixels(resized(upright, tokens), upright.size)


def upright_image(image: Image) -> Image:
    """A PIL image upright and RGB; MediaError where it is closed, damaged, or of a kind that Pillow cannot convert."""
    from gemsmith.media.rgb import upright_rgb

    try:
        return upright_rgb(image)
    except (MediaError, MemoryError):
        raise
    except Exception as error:  # decoders raise whatever they like
        raise MediaError("media_damaged", "the PIL image cannot be decoded or converted to RGB") from error


def copied_file(image: Any, file: BinaryIO, settings: MediaSettings) -> bool:
    """Copy the file that Pillow has open into `file`; False where it cannot be read from its beginning."""
    try:
        place = image.fp.tell()
        image.fp.seek(0)
        data = image.fp.read(settings.max_bytes + 1)
        image.fp.seek(place)
    except (OSError, ValueError, AttributeError):
        return False
    check_size(len(data), settings.max_bytes)
    file.write(data)
    file.flush()
    return True


def image_of_array(array: np.ndarray, settings: MediaSettings) -> Image:
    """An array as a PIL image, if it is of a kind that leaves no doubt."""
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise MissingDependencyError("pillow", "media", "resizing a picture") from error

    pixels = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)) or 0 in pixels.shape:
        raise MediaError("media_format", f"an array of shape {list(array.shape)} is no picture; {SHAPES}")
    check_pixels(pixels.shape[1], pixels.shape[0], settings.max_pixels)
    if pixels.dtype.kind == "f":
        low, high = float(pixels.min()), float(pixels.max())
        if not 0 <= low <= high <= 1:  # false for NaN too
            raise MediaError("media_format", f"the array has fractions from {low:g} to {high:g}; {SHAPES}")
        pixels = _of_fractions(pixels)
    if pixels.dtype != np.uint8:
        raise MediaError("media_format", f"an array of {array.dtype} is no picture; {SHAPES}")
    return Image.fromarray(np.ascontiguousarray(pixels))


def _of_fractions(pixels: np.ndarray) -> np.ndarray:
    """uint8 of fractions, row by row: at no time are there two large copies."""
    whole = np.empty(pixels.shape, np.uint8)
    for row, fractions in zip(whole, pixels, strict=True):
        row[...] = np.rint(fractions * 255)
    return whole
