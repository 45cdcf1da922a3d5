"""Decodes one picture, and resizes it to its budget: the first frame, upright, RGB. Runs in the child.

    {"tokens": 280, "max_pixels": 100000000, "frame": 0} -> {"size": [width, height]}, [rgb]

The header is checked before Pillow sees the file, and Pillow is told which one format it is to read. The whole file
must be there: a picture that ends early is damaged, and is not shown half grey.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, features

from gemsmith.errors import MediaError
from gemsmith.media.jobs.header import CUT, checked
from gemsmith.media.resize import check_pixels, resized
from gemsmith.media.rgb import upright_rgb

# Pillow knows the others without being told; naming these spares it the search through all it has
PLUGINS = {"WEBP": "PIL.WebPImagePlugin", "TIFF": "PIL.TiffImagePlugin", "AVIF": "PIL.AvifImagePlugin"}


def decode(file: BinaryIO, options: dict[str, Any]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The picture of an open file, and its size before it was resized."""
    image = decoded(file, options)
    return {"size": list(image.size)}, [resized(image, options["tokens"])]


def decoded(file: BinaryIO, options: dict[str, Any]) -> Image.Image:
    """The picture of an open file at its own size, upright, RGB."""
    format_ = checked(file, options["max_pixels"])
    if format_ == "AVIF" and not features.check("avif"):
        raise MediaError("media_format", "this Pillow was built without AVIF; update it, or convert the picture")
    with _quiet_pillow():
        return upright_rgb(_opened(file, format_, options))


def _opened(file: BinaryIO, format_: str, options: dict[str, Any]) -> Image.Image:
    if format_ in PLUGINS:
        import_module(PLUGINS[format_])
    try:
        image = Image.open(file, formats=[format_])
        if options.get("frame"):
            image.seek(options["frame"])
        check_pixels(*image.size, options["max_pixels"])
        image.load()
    except (MediaError, MemoryError):
        raise
    except Exception as error:  # decoders raise whatever they like
        raise MediaError("media_damaged", CUT) from error
    return image


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Without Pillow's own limit on pixels, since ours was checked, and without its warnings, which nobody reads."""
    kept, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = kept
