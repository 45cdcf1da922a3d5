"""PDF pages as pictures, drawn by pdfium: annotations and filled-in forms as a reader sees them, on white paper.

A page is drawn directly at the size its budget asks for, whatever size it claims, so that small print is as sharp as
the budget allows and a page of a kilometre costs no more than a letter. Scripts, attachments and links of a document
are left alone: this build of pdfium has no JavaScript, and nothing here asks for the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, BinaryIO

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium

from gemsmith.errors import MediaError
from gemsmith.media.resize import fitted_size, resized

HEAD = 1024  # bytes within which a PDF says what it is
OVERSAMPLING = 2  # drawn this much larger than the budget's size, then made smaller: the sharper of the two

NO_PDF = "this file is no PDF document"
BROKEN = "this PDF document is damaged and cannot be opened; open it elsewhere and save it again"
LOCKED = "this PDF document is encrypted and needs a password; save a copy without one"


def decode(file: BinaryIO, options: dict[str, Any]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The asked pages, each resized to `tokens`, and their sizes as drawn.

    Options: `ranges` (pairs of first and last page, from 1; last None for the document's last; None for all pages),
    `tokens`, `max_pages`, `max_pixels`.
    """
    with opened(file.read()) as document:
        numbers = wanted(options["ranges"], len(document), options["max_pages"])
        pages = [drawn(document, number, options["tokens"], options["max_pixels"]) for number in numbers]
    return {"sizes": [size for _, size in pages]}, [rgb for rgb, _ in pages]


@contextmanager
def opened(data: bytes) -> Iterator[pypdfium2.PdfDocument]:
    """A document with at least one page and its forms ready to be drawn."""
    if b"%PDF-" not in data[:HEAD]:
        raise MediaError("media_format", NO_PDF)
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError:
        locked = pdfium.FPDF_GetLastError() in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY)
        raise MediaError(*(("media_refused", LOCKED) if locked else ("media_damaged", BROKEN))) from None
    with closing(document):
        document.init_forms()
        yield document


def wanted(ranges: Sequence[Sequence[int | None]] | None, count: int, most: int) -> list[int]:
    """Page numbers in the order asked; every one exists, and there are not too many."""
    bounds = [(first or 1, last or count) for first, last in ranges or [(1, None)]]
    for each in (number for pair in bounds for number in pair):
        if each > count:
            pages = "1 page" if count == 1 else f"{count} pages"
            raise MediaError("media_not_found", f"the document has {pages}, and page {each} was asked for")
    asked = sum(last - first + 1 for first, last in bounds)
    if asked > most:
        raise MediaError(
            "media_too_large",
            f"{asked} pages of a document of {count} were asked for, and at most {most} are read at once; "
            f"name fewer, as in 1-{min(most, count)}, or allow more with max_pages",
        )
    return [number for first, last in bounds for number in range(first, last + 1)]


def drawn(
    document: pypdfium2.PdfDocument, number: int, tokens: int, max_pixels: int
) -> tuple[np.ndarray, tuple[int, int]]:
    """One page resized to its budget, and the size it was drawn at."""
    try:
        with closing(document[number - 1]) as page:
            scale = scale_for(page.get_size(), number, tokens, max_pixels)
            with closing(page.render(scale=scale, draw_annots=True, may_draw_forms=True, rev_byteorder=True)) as bitmap:
                rgb = bitmap.to_numpy()[:, :, :3]
                return resized(rgb, tokens), (bitmap.width, bitmap.height)
    except pypdfium2.PdfiumError:
        raise MediaError("media_damaged", f"page {number} of this PDF document is damaged") from None


def scale_for(points: tuple[float, float], number: int, tokens: int, max_pixels: int) -> float:
    """Pixels per point that cover the budget's size on both sides; the page's rotation is in `points` already."""
    width, height = points
    if not (math.isfinite(width) and math.isfinite(height) and min(points) > 0):
        raise MediaError("media_damaged", f"page {number} of this PDF document has no width or no height")
    # whole numbers in proportion, for the rule of sizes, which knows pixels
    unit = 10_000 / min(points)
    fitted = fitted_size(round(width * unit), round(height * unit), tokens)
    scale = OVERSAMPLING * max(fitted[0] / width, fitted[1] / height)
    columns, rows = math.ceil(width * scale), math.ceil(height * scale)
    if columns * rows > max_pixels:
        raise MediaError(
            "media_too_large",
            f"page {number} is so long that it takes {columns} x {rows} pixels to draw, limit {max_pixels}",
        )
    return scale
