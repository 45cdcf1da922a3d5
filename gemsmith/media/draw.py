"""A picture with boxes and points drawn on it, as PNG: what a model found, for people to look at.

The picture keeps its own size and is turned upright, since marks are given in the pixels that the model was shown.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np

from gemsmith.errors import RequestError
from gemsmith.media import worker
from gemsmith.media.marks import Box, Point
from gemsmith.media.picture import copied_file, image_of_array, upright_image
from gemsmith.media.resize import check_pixels
from gemsmith.media.settings import MediaSettings
from gemsmith.media.source import open_source, unnamed_file

MAX_MARKS = 1000
MAX_LABEL = 100  # characters; a longer label ends in an ellipsis
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def draw(
    source: Any,
    boxes: Iterable[Box] = (),
    points: Iterable[Point] = (),
    *,
    settings: MediaSettings = MediaSettings(),  # noqa: B008
) -> bytes:
    """A PNG file: the picture upright, at its own size, with every box and point given, and their labels.

    `source` is what `picture` takes. Marks that reach over the picture's edge are drawn up to it; one that lies wholly
    outside is refused. Labels are in the letters of Pillow's own font: accents are left off, and what it has no letter
    for is a `?`, with a warning that names it.
    """
    all_boxes = [replace(box, label=_short(box.label)) for box in boxes]
    all_points = [replace(point, label=_short(point.label)) for point in points]
    _check(all_boxes, all_points)
    size, drawing = _drawn(source, all_boxes, all_points, settings)
    _check_places(size, all_boxes, all_points)
    _warn_of_letters("".join([box.label for box in all_boxes] + [point.label for point in all_points]))
    return drawing


def _drawn(
    source: Any, boxes: list[Box], points: list[Point], settings: MediaSettings
) -> tuple[tuple[int, int], bytes]:
    """The size of the picture, and the PNG file."""
    with _opened(source, settings) as (file, frame):
        options = {
            "boxes": [(box.label, *map(float, (box.left, box.top, box.right, box.bottom))) for box in boxes],
            "points": [(point.label, float(point.x), float(point.y)) for point in points],
            "max_pixels": settings.max_pixels,
            "frame": frame,
        }
        values, arrays = worker.run("draw", file, options, settings)
    if len(arrays) == 1:
        data = worker.expected(arrays[0], "uint8", None).tobytes()
        if data.startswith(SIGNATURE):
            return worker.expected_size(values.get("size"), settings), data
    raise worker.failed("nonsense")


@contextmanager
def _opened(source: Any, settings: MediaSettings) -> Iterator[tuple[BinaryIO, int]]:
    """The file of a picture, and which of its frames is meant; pixels that have no file are written into one."""
    if isinstance(source, np.ndarray):
        source = image_of_array(source, settings)
    if "PIL.Image" not in sys.modules or not isinstance(source, sys.modules["PIL.Image"].Image):
        with open_source(source, settings) as (file, _):
            yield file, 0
        return
    from gemsmith.media.rgb import is_undecoded

    check_pixels(source.width, source.height, settings.max_pixels)
    with unnamed_file() as file:
        if is_undecoded(source) and copied_file(source, file, settings):
            yield file, source.tell()
        else:
            upright_image(source).save(file, "PNG", compress_level=0)
            file.flush()
            yield file, 0


def _short(label: str) -> str:
    return label if len(label) <= MAX_LABEL else label[: MAX_LABEL - 1] + "…"


def _check(boxes: list[Box], points: list[Point]) -> None:
    """Refuse what can be drawn nowhere, in whatever picture."""
    if len(boxes) + len(points) > MAX_MARKS:
        raise RequestError(f"at most {MAX_MARKS} boxes and points are drawn, and {len(boxes) + len(points)} were given")
    for box in boxes:
        if not (_finite(box.left, box.top, box.right, box.bottom) and box.left <= box.right and box.top <= box.bottom):
            raise RequestError(f"a box needs left <= right and top <= bottom, in pixels, and this has not: {box}")
    for point in points:
        if not _finite(point.x, point.y):
            raise RequestError(f"a point needs a place, in pixels, and this has none: {point}")


def _finite(*numbers: float) -> bool:
    """Whether these are places that pixels can have; no picture has more than a milliard on a side."""
    return all(-1e9 <= number <= 1e9 for number in numbers)


def _check_places(size: tuple[int, int], boxes: list[Box], points: list[Point]) -> None:
    width, height = size
    for box in boxes:
        if box.left >= width or box.top >= height or box.right < 0 or box.bottom < 0:
            raise RequestError(f"this box lies outside the picture of {width} x {height} pixels: {box}")
    for point in points:
        if not (0 <= point.x <= width and 0 <= point.y <= height):
            raise RequestError(f"this point lies outside the picture of {width} x {height} pixels: {point}")


def _warn_of_letters(labels: str) -> None:
    if labels.isascii():
        return
    from gemsmith.media.overlay import undrawn

    if missing := undrawn(labels):
        warnings.warn(f"drawn as '?', since the font has no letters for them: {missing}", stacklevel=3)
