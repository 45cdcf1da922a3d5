"""Decodes one picture and paints marks on it at its own size, upright. Runs in the child.

{"boxes": [[label, left, top, right, bottom]], "points": [[label, x, y]], "max_pixels": 100000000}
-> {"size": [width, height]}, [the bytes of a PNG file]
"""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from gemsmith.media.jobs.picture import decoded
from gemsmith.media.marks import Box, Point
from gemsmith.media.overlay import painted, png


def decode(file: BinaryIO, options: dict[str, Any]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The picture of an open file with boxes and points on it, as PNG."""
    picture = decoded(file, options)
    boxes, points = (Box(*box) for box in options["boxes"]), (Point(*point) for point in options["points"])
    drawing = png(painted(picture, boxes, points))
    return {"size": list(picture.size)}, [np.frombuffer(drawing, dtype=np.uint8)]
