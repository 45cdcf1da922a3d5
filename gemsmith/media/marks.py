"""What can be marked in a picture, in pixels of the original, upright: boxes and points. Knows no model and no JSON."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle: `left` and `top` included, `right` and `bottom` the edges beyond it.

    `picture` counts the pictures of the request from 0, in their order: which of them the box lies in.
    """

    label: str
    left: float
    top: float
    right: float
    bottom: float
    picture: int = 0


@dataclass(frozen=True)
class Point:
    """A place in a picture, `x` from its left edge and `y` from its top."""

    label: str
    x: float
    y: float
    picture: int = 0


@dataclass(frozen=True)
class Marks:
    """All that an answer marks, in its order; `left_out` has one sentence for each item that has no clear meaning."""

    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()
    left_out: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.boxes or self.points)
