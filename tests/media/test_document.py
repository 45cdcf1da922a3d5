"""PDF pages: what is asked for, what is drawn, and what odd and hostile documents come to.

The job runs in this process where only its answer matters, and in the decoding process where harm could be done.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gemsmith.errors import MediaError, RequestError
from gemsmith.media import document
from gemsmith.media.resize import fitted_size
from gemsmith.media.settings import MediaSettings
from tests.media import pdf

pytest.importorskip("pypdfium2")
pytest.importorskip("PIL")

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
LETTER = (612, 792)


def decoded(data: bytes, *, pages: Any = None, tokens: int = 70, **limits: int) -> tuple[list[Any], list[np.ndarray]]:
    """The job's answer, in this process."""
    from gemsmith.media.jobs.document import decode

    ranges = None if pages is None else document.ranges(pages)
    options = {"ranges": ranges, "tokens": tokens, "max_pages": 64, "max_pixels": 100_000_000, **limits}
    values, arrays = decode(BytesIO(data), options)
    return values["sizes"], arrays


def refusal(data: bytes, **options: Any) -> MediaError:
    with pytest.raises(MediaError) as caught:
        decoded(data, **options)
    return caught.value


def coloured(*greys: float) -> bytes:
    """A document with a page in each of these shades of grey."""
    return pdf.simple([pdf.page(pdf.filled(grey, grey, grey)) for grey in greys])


def shades(data: bytes, pages: Any = None) -> list[float]:
    """The shade of each page that was asked for, which says which pages came."""
    return [round(rgb.mean() / 255, 1) for rgb in decoded(data, pages=pages)[1]]


@pytest.mark.parametrize(
    "pages, wanted",
    [
        (None, [0.1, 0.3, 0.5, 0.7]),
        ("1-4", [0.1, 0.3, 0.5, 0.7]),
        ("2", [0.3]),
        ("3-", [0.5, 0.7]),
        (" 4 , 1 - 2 ", [0.7, 0.1, 0.3]),
        ("2,2", [0.3, 0.3]),
        ((3, 1), [0.5, 0.1]),
        ([1], [0.1]),
    ],
)
def test_the_pages_asked_for(pages: Any, wanted: list[float]) -> None:
    assert shades(coloured(0.1, 0.3, 0.5, 0.7), pages) == wanted


@pytest.mark.parametrize(
    "pages",
    ["", ",", "a", "1-2-3", "0", "3-1", "-3", "1;2", "1" * 20, (), (0,), (-1,), (True,), (1.0,), ("1",), 3, {1}],
)
def test_pages_that_mean_nothing(pages: Any) -> None:
    with pytest.raises(RequestError, match=re.escape(repr(pages))):
        document.ranges(pages)


@pytest.mark.parametrize("pages", ["1," * 90_000 + "1", tuple(range(1, 100_000)), (1,) * 65], ids=["text", "all", "1"])
def test_many_pages_are_refused_before_anything_is_opened(pages: Any) -> None:
    with pytest.raises(MediaError, match="at most 64 are read at once") as error:
        document.pages("no such file", pages=pages)
    assert error.value.code == "media_too_large"


@pytest.mark.parametrize("pages", [(10**5000,), (-(10**5000),), object(), "x" * 10**6, (1 << 31,)], ids=range(5))
def test_odd_pages_are_told_shortly(pages: Any) -> None:
    with pytest.raises(RequestError, match="pages are numbers from 1") as error:
        document.pages("no such file", pages=pages)
    assert len(str(error.value)) < 200 and "0x" not in str(error.value)


@pytest.mark.parametrize("pages, missing", [("5", 5), ("1-9", 9), ((1, 7), 7), ("6-", 6)])
def test_pages_that_do_not_exist(pages: Any, missing: int) -> None:
    error = refusal(coloured(0, 0, 0, 0), pages=pages)
    assert error.code == "media_not_found"
    assert str(error) == f"the document has 4 pages, and page {missing} was asked for"


def test_too_many_pages_are_refused_not_left_out() -> None:
    data = coloured(0, 0, 0)
    for pages in (None, "1-3", (1, 2, 3), "1,1,1"):
        error = refusal(data, pages=pages, max_pages=2)
        assert error.code == "media_too_large"
        assert "3 pages of a document of 3" in str(error) and "as in 1-2" in str(error)
    assert len(decoded(data, pages="2-3", max_pages=2)[1]) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "box", ["0 0 612 792", "0 0 792 612", "-100 -100 100 100", "0 0 14400 14400", "0 0 3 1000", "0 0 5 4"]
)
def test_the_size_of_a_page(box: str) -> None:
    """Whatever a page claims, it is drawn at twice its budget's size, and its own proportions stay."""
    ((width, height),), (rgb,) = decoded(pdf.simple([pdf.page(box=box)]))
    left, bottom, right, top = map(int, box.split())
    fitted_width, fitted_height = fitted_size(width, height, 70)
    assert rgb.shape == (fitted_height, fitted_width, 3)
    assert width >= 2 * fitted_width - 1 and height >= 2 * fitted_height - 1
    assert abs(width / height * (top - bottom) / (right - left) - 1) < 1 / min(width, height)


def corners(rgb: np.ndarray) -> list[tuple[int, ...]]:
    """Colours at the upper left, upper right and lower left."""
    return [tuple(int(part) for part in rgb[y, x]) for y, x in ((5, 5), (5, -6), (-6, 5))]


@pytest.mark.parametrize(
    "turn, wanted",
    [
        (0, [RED, GREEN, BLUE]),
        (90, [BLUE, RED, (255,) * 3]),
        (180, [(255,) * 3, BLUE, GREEN]),
        (-90, [GREEN, (255,) * 3, RED]),
    ],
)
def test_a_page_is_turned_as_it_says(turn: int, wanted: list[tuple[int, ...]]) -> None:
    marks = (
        pdf.filled(1, 0, 0, "0 300 100 100")
        + pdf.filled(0, 1, 0, "100 300 100 100")
        + pdf.filled(0, 0, 1, "0 0 100 100")
    )
    page = pdf.page(marks, box="0 0 200 400", entries=f"/Rotate {turn}")
    ((width, height),), (rgb,) = decoded(pdf.simple([page]))
    assert corners(rgb) == wanted
    assert (width < height) == (turn in (0, 180))


def test_the_crop_box_is_what_is_seen() -> None:
    page = pdf.page(pdf.filled(1, 0, 0, "100 100 100 100"), box="0 0 600 600", entries="/CropBox [100 100 200 200]")
    _, (rgb,) = decoded(pdf.simple([page]))
    assert (rgb.reshape(-1, 3) == RED).all()


def test_paper_is_white() -> None:
    _, (rgb,) = decoded(pdf.simple([pdf.page()]))
    assert (rgb == 255).all()


def test_annotations_and_filled_in_forms_are_drawn() -> None:
    """What a reader sees in a form is what was written into it, and a remark lies over the page."""
    square = pdf.stream(pdf.filled(1, 0, 0, "0 0 100 100"), "/Type /XObject /Subtype /Form /BBox [0 0 100 100]")
    green = pdf.stream(pdf.filled(0, 1, 0, "0 0 100 100"), "/Type /XObject /Subtype /Form /BBox [0 0 100 100]")
    more = {
        10: "<< /Type /Annot /Subtype /Stamp /Rect [0 300 100 400] /F 4 /AP << /N 11 0 R >> >>",
        11: square,
        12: "<< /Type /Annot /Subtype /Widget /FT /Tx /T (n) /V (x) /Rect [100 300 200 400] /AP << /N 13 0 R >> >>",
        13: green,
    }
    page = pdf.page(box="0 0 200 400", entries="/Annots [10 0 R 12 0 R]")
    _, (rgb,) = decoded(pdf.simple([page], catalog="/AcroForm << /Fields [12 0 R] >>", more=more))
    assert corners(rgb)[:2] == [RED, GREEN]


@pytest.mark.slow
def test_small_print_is_sharp() -> None:
    """Against the same page drawn eight times as large and averaged down: drawn twice as large is nearer than once."""
    from PIL import Image

    from gemsmith.media.jobs import document as job

    words = "".join(pdf.text(f"line {i}: the quick brown fox jumps over it", 20, 380 - 12 * i, 9) for i in range(30))
    data = pdf.simple([pdf.page(words, box="0 0 240 400")])

    def error(oversampling: int) -> float:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(job, "OVERSAMPLING", oversampling)
            return float(np.square(decoded(data, tokens=140)[1][0] - ideal).mean())

    with job.opened(data) as opened:
        large = opened[0].render(scale=12, rev_byteorder=True).to_numpy()
    width, height = fitted_size(240, 400, 140)
    ideal = np.array(Image.fromarray(large).resize((width, height), Image.Resampling.BOX)).astype(float)
    assert error(2) < 0.6 * error(1)


# --- what strangers make ----------------------------------------------------------------------------------------------


def encrypted(password: str) -> bytes:
    """A page behind a user password (RC4, 40 bits: PDF 1.7, 7.6.3, algorithms 2 to 4)."""
    from hashlib import md5

    padding = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")
    padded, identity = (password.encode() + padding)[:32], b"0123456789abcdef"
    owner = rc4(md5(padded).digest()[:5], padded)
    key = md5(padded + owner + (-4).to_bytes(4, "little", signed=True) + identity).digest()[:5]
    trailer = f"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <{owner.hex()}> /U <{rc4(key, padding).hex()}> >> "
    bodies = {1: "<< /Type /Catalog /Pages 2 0 R >>", 2: "<< /Type /Pages /Kids [3 0 R] /Count 1 >>"}
    bodies[3] = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] >>"
    return pdf.document(bodies, extra=trailer + f"/ID [<{identity.hex()}> <{identity.hex()}>]")


def rc4(key: bytes, data: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def test_an_encrypted_document_is_refused() -> None:
    error = refusal(encrypted("secret"))
    assert error.code == "media_refused" and "password" in str(error)
    assert len(decoded(encrypted(""))[1]) == 1  # encrypted, and open to everybody: readers show it without a question


@pytest.mark.parametrize(
    "data, code",
    [
        (b"\x89PNG\r\n\x1a\n" + b"0" * 100, "media_format"),
        (b"plain text", "media_format"),
        (b"0" * 2000 + b"%PDF-1.7", "media_format"),
        (b"%PDF-1.7\n", "media_damaged"),
        (b"%PDF-1.7\n%%EOF", "media_damaged"),
        (
            pdf.document({1: "<< /Type /Catalog /Pages 2 0 R >>", 2: "<< /Type /Pages /Kids [2 0 R] /Count 1 >>"}),
            "media_damaged",
        ),
        (
            pdf.document({1: "<< /Type /Catalog /Pages 2 0 R >>", 2: "<< /Type /Pages /Kids [] /Count 0 >>"}),
            "media_damaged",
        ),
    ],
)
def test_what_is_no_document(data: bytes, code: str) -> None:
    assert refusal(data).code == code


@pytest.mark.parametrize(
    "box", ["0 0 0 0", "0 0 100 0", "nan nan nan nan", "a b c d", "0 0 1e400 1e400", "5 5 1 1", ""]
)
def test_impossible_boxes(box: str) -> None:
    """A page with an answer or an error, and never without an end: pdfium takes letter paper where there is no box."""
    data = pdf.simple([pdf.page(box=box)])
    try:
        ((width, height),), (rgb,) = decoded(data)
    except MediaError as error:
        assert error.code in ("media_damaged", "media_too_large")
    else:
        assert rgb.shape == (*fitted_size(width, height, 70)[::-1], 3)


def test_a_page_as_long_as_a_street_is_refused() -> None:
    error = refusal(pdf.simple([pdf.page(box="0 0 1 1000000")]))
    assert error.code == "media_too_large"
    assert re.search(r"page 1 is so long that it takes \d+ x \d+ pixels to draw, limit 100000000", str(error))


def test_a_count_that_lies() -> None:
    """A tree that claims 100,000 pages and holds one."""
    bodies = {1: "<< /Type /Catalog /Pages 2 0 R >>", 2: "<< /Type /Pages /Kids [3 0 R] /Count 100000 >>"}
    bodies[3] = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] >>"
    data = pdf.document(bodies)
    assert refusal(data).code in ("media_too_large", "media_damaged")
    assert len(decoded(data, pages="1")[1]) == 1
    error = refusal(data, pages="99999")
    assert error.code in ("media_damaged", "media_not_found")


def test_scripts_and_attachments_are_left_alone() -> None:
    """A document that would like to do things when it is opened is a picture like any other."""
    catalog = (
        "/OpenAction << /S /JavaScript /JS (app.alert\\(1\\); this.exportDataObject\\({cName: 'x', nLaunch: 2}\\)) >> "
        "/AA << /WC << /S /Launch /F (/bin/sh) >> >> "
        "/Names << /EmbeddedFiles << /Names [(x) 20 0 R] >> /JavaScript << /Names [(y) 22 0 R] >> >>"
    )
    more = {
        20: "<< /Type /Filespec /F (x.exe) /EF << /F 21 0 R >> >>",
        21: pdf.stream("MZ", "/Type /EmbeddedFile"),
        22: "<< /S /JavaScript /JS (while\\(true\\){}) >>",
    }
    _, (rgb,) = decoded(pdf.simple([pdf.page(pdf.filled(1, 0, 0))], catalog=catalog, more=more))
    assert (rgb.reshape(-1, 3) == RED).all()


def one_page(entries: str, content: str | bytes, more: dict[int, str | bytes] | None = None) -> bytes:
    """A document with one page, whose content is object 5."""
    bodies: dict[int, str | bytes] = {1: "<< /Type /Catalog /Pages 2 0 R >>"}
    bodies[2] = "<< /Type /Pages /Kids [4 0 R] /Count 1 >>"
    bodies[4] = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 5 0 R {entries} >>"
    bodies[5] = content
    return pdf.document({**bodies, **(more or {})})


def form(uses: int, of: int) -> bytes:
    """A drawing that shows another one many times."""
    entries = f"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X {of} 0 R >> >>"
    return pdf.stream("/X Do " * uses, entries)


GIANT = "/Type /XObject /Subtype /Image /Width 100000 /Height 100000 /BitsPerComponent 8 /ColorSpace /DeviceRGB"
SHOWN = "/Resources << /XObject << /X 10 0 R >> >>"
HARMFUL = {
    "a drawing that contains itself": one_page(SHOWN, pdf.stream("/X Do"), {10: form(50, 10)}),
    "drawings of drawings": one_page(SHOWN, pdf.stream("/X Do"), {10 + i: form(10, 11 + i) for i in range(12)}),
    "ten milliard pixels": one_page(SHOWN, pdf.stream("/X Do"), {10: pdf.stream(b"0", GIANT)}),
    "a bomb": one_page("", pdf.stream(zlib.compress(b" " * (64 << 20), 9), "/Filter /FlateDecode")),
    "brackets": one_page("/Annots " + "[" * 100_000 + "]" * 100_000, pdf.stream("")),
    "unfinished business": one_page("", pdf.stream("q " * 1_000_000 + "0 0 9 9 re f")),
}


@pytest.mark.slow
def test_harm_stays_in_the_decoding_process() -> None:
    """Each is a page or one sentence after a second, and the next document is read."""
    settings = MediaSettings(timeout_s=1, max_memory=512 << 20)
    for name, data in HARMFUL.items():
        try:
            assert len(document.pages(data, tokens=70, settings=settings)) == 1, name
        except MediaError as error:
            assert error.code in ("media_damaged", "media_too_large", "media_decode_failed"), name
    assert len(document.pages(coloured(0.5), tokens=70)) == 1


@pytest.mark.long
def test_mutated_documents_answer_or_refuse() -> None:
    """Cut anywhere, bytes changed anywhere: pages or a clear error, from a process that can be lost."""
    rng = random.Random(0)
    whole = pdf.simple([pdf.page(pdf.filled(0.5, 0, 0) + pdf.text("words", 50, 50)) for _ in range(3)])
    codes = set()
    for number in range(60):
        data = bytearray(whole)
        if number % 3 == 0:
            del data[rng.randrange(len(data)) :]
        for _ in range(rng.choice((1, 4, 32))):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            document.pages(bytes(data) or b"%", tokens=70, settings=MediaSettings(timeout_s=30))
            codes.add("pages")
        except MediaError as error:
            codes.add(error.code)
    assert (
        {"pages", "media_damaged"}
        <= codes
        <= {"pages", "media_damaged", "media_too_large", "media_format", "media_refused"}
    )


@pytest.mark.slow
def test_from_every_kind_of_source(tmp_path: Path) -> None:
    """A path, bytes and a data URL are the same pages; the process that asks never loads a reader of PDF."""
    from base64 import b64encode

    data = coloured(0.2, 0.6)
    (tmp_path / "x.pdf").write_bytes(data)
    sources = [
        tmp_path / "x.pdf",
        str(tmp_path / "x.pdf"),
        data,
        "data:application/pdf;base64," + b64encode(data).decode(),
    ]
    found = [document.pages(source, pages="2,1", tokens=140) for source in sources]
    assert all(pages == found[0] for pages in found)
    assert [round(page.rgb.mean() / 255, 1) for page in found[0]] == [0.6, 0.2]
    assert found[0][0].size[0] >= 2 * found[0][0].rgb.shape[1] - 1
    code = (
        "import sys; from gemsmith.media.document import pages; "
        "assert len(pages(sys.argv[1])) == 2; assert not {'pypdfium2', 'PIL'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "x.pdf"], check=True, cwd=Path(__file__).parents[2])


def test_the_budget_is_checked_first() -> None:
    with pytest.raises(RequestError, match="561"):
        document.pages(coloured(0), tokens=561)
