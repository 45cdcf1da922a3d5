"""PDF documents made by hand for tests: small, readable, and as odd as a test wants them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

HELVETICA = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


def document(bodies: Mapping[int, str | bytes], *, root: int = 1, extra: str = "") -> bytes:
    """A file of numbered objects with a cross-reference table; `extra` goes into the trailer."""
    out = bytearray(b"%PDF-1.7\n")
    places = {}
    for number, body in sorted(bodies.items()):
        places[number] = len(out)
        data = body.encode("latin-1") if isinstance(body, str) else body
        out += b"%d 0 obj\n" % number + data + b"\nendobj\n"
    start, size = len(out), max(bodies) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % size
    for number in range(1, size):
        out += b"%010d 00000 n \n" % places[number] if number in places else b"0000000000 65535 f \n"
    out += f"trailer << /Size {size} /Root {root} 0 R {extra} >>\nstartxref\n{start}\n%%EOF\n".encode("latin-1")
    return bytes(out)


def stream(content: str | bytes, entries: str = "") -> bytes:
    """A stream object."""
    data = content.encode("latin-1") if isinstance(content, str) else content
    return f"<< /Length {len(data)} {entries} >>\nstream\n".encode("latin-1") + data + b"\nendstream"


def page(content: str = "", *, box: str = "0 0 612 792", entries: str = "") -> tuple[str, str]:
    """One page for `simple`: what is drawn on it, and its dictionary's entries."""
    return content, f"/MediaBox [{box}] {entries}"


def simple(
    pages: Sequence[tuple[str, str]], *, catalog: str = "", more: Mapping[int, str | bytes] | None = None
) -> bytes:
    """A document of pages: objects 1 and 2 are catalog and tree, 3 a font, 4 and 5 the first page, and so on."""
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(len(pages)))
    bodies: dict[int, str | bytes] = {
        1: f"<< /Type /Catalog /Pages 2 0 R {catalog} >>",
        2: f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        3: HELVETICA,
    }
    for i, (content, entries) in enumerate(pages):
        bodies[4 + 2 * i] = (
            f"<< /Type /Page /Parent 2 0 R /Contents {5 + 2 * i} 0 R "
            f"/Resources << /Font << /F1 3 0 R >> >> {entries} >>"
        )
        bodies[5 + 2 * i] = stream(content)
    return document({**bodies, **(more or {})})


def filled(red: float, green: float, blue: float, rectangle: str = "0 0 10000 10000") -> str:
    """Paint a rectangle (left, bottom, width, height) in a colour of parts from 0 to 1."""
    return f"{red} {green} {blue} rg {rectangle} re f\n"


def text(words: str, x: float, y: float, size: float = 24) -> str:
    """Write words in Helvetica."""
    return f"0 0 0 rg BT /F1 {size} Tf {x} {y} Td ({words}) Tj ET\n"
