"""Boxes and points painted over a picture, each with its label on a plate of its own colour.

Sizes follow the picture, so that lines are seen in a large one and do not hide a small one. Everything has an edge of
the opposite brightness, and a label's plate is opaque: both stand out from any background. Reads no file.
"""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import cache
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gemsmith.media.marks import Box, Point

COLOURS = (
    (230, 25, 75), (60, 180, 75), (0, 130, 200), (255, 225, 25), (245, 130, 48), (145, 30, 180), (70, 240, 240),
    (240, 50, 230), (170, 110, 40), (128, 128, 0),
)  # fmt: skip
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
UNKNOWN = "?"  # stands for a character that the font has not
SMALLEST = 8  # pixels: below it letters cannot be told apart
PNG_EFFORT = 1  # zlib's level: a large picture is written in a fraction of the time, and a tenth larger

Colour = tuple[int, int, int]


class Area(NamedTuple):
    """A rectangle in pixels; `right` and `bottom` are the edges beyond it."""

    left: float
    top: float
    right: float
    bottom: float

    def shared(self, others: np.ndarray) -> float:
        """How many pixels of others [n, 4] this covers, those covered twice counted twice."""
        left, top, right, bottom = others.T
        width = np.minimum(self.right, right) - np.maximum(self.left, left)
        height = np.minimum(self.bottom, bottom) - np.maximum(self.top, top)
        return float((width.clip(0) * height.clip(0)).sum())

    def inside(self, width: int, height: int) -> Area:
        """As large, moved into a picture of this size."""
        wide, high = self.right - self.left, self.bottom - self.top
        left, top = max(0, min(self.left, width - wide)), max(0, min(self.top, height - high))
        return Area(left, top, left + wide, top + high)


def painted(picture: Image.Image, boxes: Iterable[Box], points: Iterable[Point]) -> Image.Image:
    """A copy of an RGB picture with the marks on it: lines first, labels over them."""
    picture = picture.copy()
    marks: list[Box | Point] = [*boxes, *points]
    brush = Brush(picture, [mark.label for mark in marks])
    for mark in marks:
        brush.line(mark)
    for mark in marks:
        brush.label(mark)
    return picture


def png(picture: Image.Image) -> bytes:
    """A picture as the bytes of a PNG file."""
    out = BytesIO()
    picture.save(out, "PNG", compress_level=PNG_EFFORT)
    return out.getvalue()


class Brush:
    """Paints on one picture: `width` of lines, their `edge`, and `letters` are in its pixels."""

    def __init__(self, picture: Image.Image, labels: Iterable[str]):
        self.size, self._draw = picture.size, ImageDraw.Draw(picture)
        side = math.sqrt(picture.width * picture.height)
        self.width = max(1, round(0.0035 * side))
        self.edge = max(1, round(self.width / 3))
        self.letters = max(11, round(0.026 * side))
        self.radius = max(3, 2 * self.width)
        self._colours = {label: COLOURS[i % len(COLOURS)] for i, label in enumerate(dict.fromkeys(labels))}
        self._taken: list[Area] = []  # what a label had better not cover: dots, and the labels before it

    def line(self, mark: Box | Point) -> None:
        """Mark the place, without its label."""
        if isinstance(mark, Box):
            self._box(mark)
        else:
            self._point(mark)

    def _box(self, box: Box) -> None:
        """Four lines just inside the box, on a wider dark or bright line."""
        colour = self._colours[box.label]
        left, top = max(0, math.floor(box.left)), max(0, math.floor(box.top))
        right, bottom = (
            min(most, math.ceil(edge)) - 1 for most, edge in zip(self.size, (box.right, box.bottom), strict=True)
        )
        right, bottom = max(left, right), max(top, bottom)
        e = self.edge
        self._draw.rectangle(
            (left - e, top - e, right + e, bottom + e), outline=opposite(colour), width=self.width + 2 * e
        )
        self._draw.rectangle((left, top, right, bottom), outline=colour, width=self.width)

    def _point(self, point: Point) -> None:
        """A dot with a white ring and a black one."""
        for extra, colour in ((2, BLACK), (1, WHITE), (0, self._colours[point.label])):
            radius = self.radius + extra * self.edge
            dot = Area(point.x - radius, point.y - radius, point.x + radius, point.y + radius)
            self._draw.ellipse(dot, fill=colour)
        self._taken.append(dot)

    def label(self, mark: Box | Point) -> None:
        """The label beside its mark, inside the picture, where it covers least of the dots and of other labels."""
        text = drawable(mark.label)
        if not text:
            return
        text, font = self._fitted(text)
        ascent, descent = font.getmetrics()
        pad = max(2, self.letters // 6)
        width, height = math.ceil(font.getlength(text)) + 2 * pad, ascent + descent + pad
        plate = self._free(mark, width, height)
        colour = self._colours[mark.label]
        self._draw.rectangle((plate.left, plate.top, plate.right - 1, plate.bottom - 1), fill=colour)
        self._draw.text((plate.left + pad, plate.top + pad // 2 + ascent), text, opposite(colour), font, anchor="ls")
        self._taken.append(plate)

    def _fitted(self, text: str) -> tuple[str, ImageFont.FreeTypeFont]:
        """Letters small enough for the text to fit the picture's width; where none are, a text with its end cut off."""
        room = self.size[0] - 2 * max(2, self.letters // 6)
        wanted = lettering(self.letters).getlength(text)
        size = max(SMALLEST, min(self.letters, math.floor(self.letters * room / max(wanted, 1))))
        font = lettering(size)
        if font.getlength(text) > room:
            fits = bisect_left(range(len(text)), True, key=lambda kept: font.getlength(text[:kept] + "…") > room)
            text = text[: max(fits - 1, 0)] + "…"
        return text, font

    def _free(self, mark: Box | Point, width: int, height: int) -> Area:
        best, least = None, math.inf
        taken = np.array(self._taken).reshape(-1, 4)
        for left, top in self._places(mark, width, height):
            plate = Area(left, top, left + width, top + height).inside(*self.size)
            covered = plate.shared(taken)
            if covered < least:
                best, least = plate, covered
            if not covered:
                break
        assert best is not None
        return best

    def _places(self, mark: Box | Point, width: int, height: int) -> Iterator[tuple[int, int]]:
        """Upper left corners a label may have, the best first: over a box, in it, under it; beside a point."""
        if isinstance(mark, Point):
            away = self.radius + 3 * self.edge
            x, y = round(mark.x), round(mark.y)
            yield from ((x + away, y - height // 2), (x - away - width, y - height // 2))
            yield from ((x - width // 2, y - away - height), (x - width // 2, y + away))
            return
        left, top, right, bottom = map(round, (mark.left, mark.top, mark.right, mark.bottom))
        for x in (left, right - width):
            yield from ((x, top - height), (x, top), (x, bottom), (x, bottom - height))


def opposite(colour: Colour) -> Colour:
    """Black or white, whichever is easier to read on a colour: at least 4.5 times as bright or dark (WCAG 2.1)."""
    red, green, blue = ((part / 255) ** 2.2 for part in colour)
    return BLACK if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else WHITE


@cache
def lettering(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font, so that a drawing is the same everywhere."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow without FreeType"
    return font


def drawable(label: str) -> str:
    """A label in characters that the font has: white space is a space, é an e, and what has no letter here a `?`."""
    words = "".join(character if character.isprintable() else " " for character in label)
    return "".join(_letter(character) for character in " ".join(words.split()))


def undrawn(label: str) -> str:
    """The characters of a label that are drawn as `?`."""
    found = (character for character in label if character.isprintable() and not character.isspace())
    return "".join(dict.fromkeys(each for each in found if each != UNKNOWN and UNKNOWN in _letter(each)))


@cache
def _letter(character: str) -> str:
    if _has(character):
        return character
    if unicodedata.combining(character):
        return ""
    parts = [part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part)]
    return "".join(part if _has(part) else UNKNOWN for part in parts)


def _has(character: str) -> bool:
    """Whether the font has this character: what it has not, it draws like one that is nobody's."""
    font = lettering(20)
    return character == " " or bytes(font.getmask(character)) != bytes(font.getmask("\ue000"))
