"""Pages of a PDF document, as pictures for a model. Drawn in the decoding process; nothing here reads a PDF."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from gemsmith.errors import RequestError
from gemsmith.media import worker
from gemsmith.media.prepared import Pixels
from gemsmith.media.resize import check_budget, fitted_size
from gemsmith.media.settings import MediaSettings
from gemsmith.media.source import open_source

Ranges = list[tuple[int, int | None]]

_RANGE = re.compile(r"\s*(\d{1,9})\s*(?:(-)\s*(\d{1,9})?\s*)?")


def pages(
    source: Any,
    *,
    pages: str | tuple[int, ...] | None = None,
    tokens: int = 560,
    settings: MediaSettings = MediaSettings(),  # noqa: B008
) -> tuple[Pixels, ...]:
    """The pages of a PDF, one picture each, in the order asked.

    `pages` are numbers from 1: "1-3,7", "5-" for all from the fifth, or (1, 2, 3, 7); None for all. A document of more
    than `settings.max_pages` is refused unless fewer are asked for. `Pixels.size` is the page in pixels as it was drawn
    for its budget, rotated as the document says, so that what is found in it can be marked there.
    """
    check_budget(tokens)
    options = {
        "ranges": None if pages is None else ranges(pages),
        "tokens": tokens,
        "max_pages": settings.max_pages,
        "max_pixels": settings.max_pixels,
    }
    with open_source(source, settings) as (file, _):
        values, arrays = worker.run("document", file, options, settings)
    sizes = values.get("sizes")
    if not isinstance(sizes, list) or len(sizes) != len(arrays):
        raise worker.failed("nonsense")
    return tuple(_page(rgb, size, tokens) for rgb, size in zip(arrays, sizes, strict=True))


def _page(rgb: np.ndarray, size: object, tokens: int) -> Pixels:
    """One page as the child gave it, checked, since it is not trusted."""
    match size:
        case [int(width), int(height)] if width > 0 and height > 0:
            fitted_width, fitted_height = fitted_size(width, height, tokens)
            return Pixels(worker.expected(rgb, "uint8", fitted_height, fitted_width, 3), (width, height))
    raise worker.failed("nonsense")


def ranges(pages: str | tuple[int, ...]) -> Ranges:
    """(first, last) of each range of pages; last is None for the document's last page."""
    found: Ranges
    if isinstance(pages, str):
        found = [_range(part, pages) for part in pages.split(",")]
    elif isinstance(pages, (tuple, list)) and all(type(number) is int for number in pages):
        found = [(number, number) for number in pages]
    else:
        raise _unclear(pages)
    if not found or any(first < 1 or (last is not None and last < first) for first, last in found):
        raise _unclear(pages)
    return found


def _range(part: str, pages: str) -> tuple[int, int | None]:
    match = _RANGE.fullmatch(part)
    if match is None:
        raise _unclear(pages)
    first, dash, last = match.groups()
    return int(first), (int(last) if last else None) if dash else int(first)


def _unclear(pages: object) -> RequestError:
    return RequestError(
        f"pages are numbers from 1 with the smaller first, as in '1-3,7' or (1, 2, 3, 7), not {pages!r:.80}"
    )
