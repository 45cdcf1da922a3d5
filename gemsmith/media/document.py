"""Pages of a PDF document, as pictures for a model. Drawn in the decoding process; nothing here reads a PDF."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from gemsmith.errors import MediaError, RequestError
from gemsmith.media import worker
from gemsmith.media.prepared import Pixels
from gemsmith.media.resize import check_budget, fitted_size
from gemsmith.media.settings import MediaSettings
from gemsmith.media.source import open_source
from gemsmith.media.told import told

Ranges = list[tuple[int, int | None]]

LAST = 999_999_999  # a page's number has at most so many digits
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
    asked = None if pages is None else ranges(pages)
    if asked and len(asked) > settings.max_pages:
        raise MediaError(
            "media_too_large",
            f"{len(asked)} pages or more were asked for, and at most {settings.max_pages} are read at once; name fewer,"
            " or allow more with max_pages",
        )
    options = {
        "ranges": asked,
        "tokens": tokens,
        "max_pages": settings.max_pages,
        "max_pixels": settings.max_pixels,
    }
    with open_source(source, settings) as (file, _):
        values, arrays = worker.run("document", file, options, settings)
    sizes = values.get("sizes")
    if not isinstance(sizes, list) or len(sizes) != len(arrays) or not 0 < len(sizes) <= settings.max_pages:
        raise worker.failed("nonsense")
    return tuple(
        _page(rgb, worker.expected_size(size, settings), tokens) for rgb, size in zip(arrays, sizes, strict=True)
    )


def _page(rgb: np.ndarray, size: tuple[int, int], tokens: int) -> Pixels:
    """One page as the child gave it, checked, since it is not trusted."""
    fitted_width, fitted_height = fitted_size(*size, tokens)
    return Pixels(worker.expected(rgb, "uint8", fitted_height, fitted_width, 3), size)


def ranges(pages: str | tuple[int, ...]) -> Ranges:
    """(first, last) of each range of pages; last is None for the document's last page."""
    found: Ranges
    if isinstance(pages, str):
        found = [_range(part, pages) for part in pages.split(",")]
    elif isinstance(pages, (tuple, list)) and all(type(number) is int for number in pages):
        found = [(number, number) for number in pages]
    else:
        raise _unclear(pages)
    if not found or any(not 1 <= first <= LAST or (last is not None and last < first) for first, last in found):
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
        f"pages are numbers from 1 with the smaller first, as in '1-3,7' or (1, 2, 3, 7), not {told(pages)}"
    )
