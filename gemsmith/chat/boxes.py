"""Boxes and points out of an answer: Gemma writes them as JSON, on a grid of 1000 by 1000 laid over the picture.

    [{"box_2d": [y1, x1, y2, x2], "label": "cat"}, {"point": [y, x], "label": "its nose"}]

Read tolerantly where the meaning is clear: JSON in a fence or bare, in several blocks, among prose or cut short; one
object, a list, or either inside another object; numbers as strings; several boxes or points under one key; swapped
corners are put in order, and what reaches beyond the grid is cut at the picture's edge. Whatever has no clear meaning
is left out, and a sentence in `Marks.left_out` says so. Nothing that a model writes raises.

Of several pictures an item means the last, unless it names one: `"image": 2` (or "image 2") counts from 1,
`"image_index": 1` from 0.

Upstream: Google's documentation of object detection with Gemini and Gemma (ai.google.dev, "Image understanding").
"""

from __future__ import annotations

import json
import math
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from gemsmith.media.marks import Box, Marks, Point

GRID = 1000
BOXES = ("box_2d",)
POINTS = ("point", "point_2d", "points")
MENTION = re.compile(rf"""(["'])({"|".join(BOXES + POINTS)})\1\s*:""")
MAX_ITEM = 4096  # characters of one JSON object; the items inside of a longer one are found by themselves
MAX_FAILURES = 1000  # braces that begin no JSON; what follows them is not read, so that no answer takes seconds
NO_PICTURE = "the request had no picture, so a place in it means nothing"
# whole numbers as floats, which have room for any that a grid could mean, and are infinite beyond
DECODER = json.JSONDecoder(parse_int=float)
CUT = "its JSON is cut short or damaged"

Size = tuple[int, int]  # width, height


class Unclear(ValueError):
    """An item, or a part of one, that has no clear meaning."""


@lru_cache(maxsize=8)
def read_marks(text: str, pictures: tuple[Size, ...]) -> Marks:
    """The marks of an answer to a request with pictures of these sizes."""
    found: list[Box | Point] = []
    left_out: list[str] = []
    for item in items(text):
        if item is None:
            left_out.append(CUT)
            continue
        for key in (*BOXES, *POINTS):
            if key in item:
                _read(item, key, pictures, found, left_out)
    boxes = tuple(mark for mark in found if isinstance(mark, Box))
    points = tuple(mark for mark in found if isinstance(mark, Point))
    return Marks(boxes, points, tuple(left_out))


def items(text: str) -> Iterator[Mapping[str, Any] | None]:
    """The JSON objects in `text` that mark something, in order; None for each that cannot be decoded."""
    mentions = deque(match.start() for match in MENTION.finditer(text))
    failures, start = 0, text.find("{")
    while start >= 0 and mentions and failures < MAX_FAILURES:
        try:
            value, length = DECODER.raw_decode(text[start : start + MAX_ITEM])
        except (ValueError, RecursionError):
            failures, length = failures + 1, 1
        else:
            yield from (None for _ in _until(mentions, start))  # before this object, and inside none
            for _ in _until(mentions, start + length):
                pass
            yield from _marking(value)
        start = text.find("{", start + length)
    yield from (None for _ in mentions)


def _until(mentions: deque[int], end: int) -> Iterator[int]:
    """Takes away the mentions that stand before `end`."""
    while mentions and mentions[0] < end:
        yield mentions.popleft()


def _marking(value: Any) -> Iterator[Mapping[str, Any]]:
    """The objects in a JSON value that have a box or point, in order, and without entering them."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict) and any(key in each for key in (*BOXES, *POINTS)):
            yield each
        elif isinstance(each, (dict, list)):
            inner = list(each.values() if isinstance(each, dict) else each)
            waiting += reversed(inner)


def _read(
    item: Mapping[str, Any], key: str, pictures: Sequence[Size], found: list[Box | Point], left_out: list[str]
) -> None:
    """Add what an item says under `key`, or why it says nothing."""
    count = 4 if key in BOXES else 2
    try:
        picture = _picture(item, len(pictures))
        label = _label(item.get("label"))
        quantities = _quantities(item[key], count)
    except Unclear as reason:
        left_out.append(f"{key} {reason}")
        return
    for numbers in quantities:
        try:
            places = [_number(number) for number in numbers]
            make = _box if count == 4 else _point
            found.append(make(label, places, picture, pictures[picture]))
        except Unclear as reason:
            left_out.append(f"{key} {reason}")


def _quantities(value: Any, count: int) -> list[Sequence[Any]]:
    """The groups of `count` numbers in a value: one group, or a list of groups."""
    if isinstance(value, str):
        value = re.split(r"[\s,]+", value.strip().strip("[]()").strip())
    if not isinstance(value, list) or not value:
        raise Unclear(f"is no list of {count} numbers")
    if not any(isinstance(each, (list, dict)) for each in value):
        value = [value]
    for group in value:
        if not isinstance(group, list) or len(group) != count:
            raise Unclear(f"is no list of {count} numbers")
    return list(value)


def _number(value: Any) -> float:
    """A place on the grid, cut at its edges."""
    try:
        number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise Unclear("holds what is no number")
    return number


def _box(label: str, places: Sequence[float], picture: int, size: Size) -> Box:
    (top, bottom), (left, right) = sorted(places[::2]), sorted(places[1::2])
    if min(right, bottom) <= 0 or max(left, top) >= GRID:
        raise Unclear("lies outside of the picture")
    if left == right or top == bottom:
        raise Unclear("has no area")
    return Box(label, _at(left, size[0]), _at(top, size[1]), _at(right, size[0]), _at(bottom, size[1]), picture)


def _point(label: str, places: Sequence[float], picture: int, size: Size) -> Point:
    return Point(label, _at(places[1], size[0]), _at(places[0], size[1]), picture)


def _at(place: float, length: int) -> float:
    """A place on the grid as pixels from the edge."""
    return min(max(place, 0.0), GRID) * length / GRID


def _label(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:g}" if isinstance(value, float) else ""


def _picture(item: Mapping[str, Any], count: int) -> int:
    """Which picture an item means, counted from 0. With a single one there is no question."""
    if not count:
        raise Unclear(f"is left out: {NO_PICTURE}")
    name, first = ("image_index", 0) if "image_index" in item else ("image", 1)
    if count == 1 or item.get(name) is None:
        return count - 1
    digits = re.fullmatch(r"\D{0,20}(\d{1,6})(?:\.0)?", str(item[name]).strip())
    index = int(digits[1]) - first if digits else -1
    if not 0 <= index < count:
        raise Unclear(f"names a picture that is none of the {count}")
    return index
