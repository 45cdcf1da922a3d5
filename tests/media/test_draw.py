"""Boxes and points on a picture: where they are drawn, that labels can be read, and what is refused."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gemsmith.errors import MediaError, RequestError
from gemsmith.media import draw as draw_module
from gemsmith.media.draw import draw
from gemsmith.media.marks import Box, Point
from gemsmith.media.settings import MediaSettings
from gemsmith.media.worker import wire

pytest.importorskip("PIL")
from PIL import Image

from gemsmith.media import overlay
from gemsmith.media.overlay import COLOURS, Area, Brush, drawable, opposite, painted, undrawn

BACKGROUNDS = {"black": (0, 0, 0), "white": (255, 255, 255), "grey": (128, 128, 128), "red": COLOURS[0]}


def canvas(width: int = 400, height: int = 300, colour: tuple[int, int, int] = (90, 90, 90)) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def changed(before: Image.Image, after: Image.Image) -> tuple[int, int, int, int]:
    """The rectangle (left, top, right, bottom) outside of which nothing was painted."""
    rows, columns = np.nonzero((np.asarray(before) != np.asarray(after)).any(-1))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def luminance(colour: Any) -> float:
    """Relative luminance (WCAG 2.1)."""
    parts = [part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour]
    return float(0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2])


def contrast(one: Any, other: Any) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_a_box_is_drawn_where_it_is() -> None:
    picture = canvas()
    drawing = painted(picture, [Box("", 100, 50, 300, 250)], [])
    edge = Brush(picture, [""]).edge
    assert changed(picture, drawing) == (100 - edge, 50 - edge, 300 + edge, 250 + edge)
    pixels = np.asarray(drawing)
    assert (pixels[150, 100] == COLOURS[0]).all() and (pixels[150, 299] == COLOURS[0]).all()
    assert (pixels[50, 200] == COLOURS[0]).all() and (pixels[249, 200] == COLOURS[0]).all()
    assert (pixels[150, 200] == 90).all()  # what is in the box stays in sight


def test_a_point_is_a_dot_with_rings() -> None:
    picture = canvas()
    drawing = np.asarray(painted(picture, [], [Point("", 200, 150)]))
    brush = Brush(picture, [""])
    ring, outer = round(brush.radius + 0.5 * brush.edge), round(brush.radius + 1.5 * brush.edge)
    assert (drawing[150, 200] == COLOURS[0]).all()
    assert {tuple(drawing[150, 200 + ring].tolist()), tuple(drawing[150, 200 + outer].tolist())} <= {
        (0,) * 3,
        (255,) * 3,
    }
    assert (drawing[150, 200 + 4 * brush.radius] == 90).all()


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_lines_stand_out_from_any_background(background: str) -> None:
    """Also where the line has the background's own colour: its edge has the opposite brightness."""
    ground = BACKGROUNDS[background]
    drawing = np.asarray(painted(canvas(colour=ground), [Box("", 100, 50, 300, 250)], []))
    assert max(contrast(pixel, ground) for pixel in drawing[150, 90:110]) >= 3


@pytest.mark.parametrize("colour", COLOURS)
def test_letters_stand_out_from_their_plate(colour: tuple[int, int, int]) -> None:
    assert contrast(colour, opposite(colour)) >= 4.5


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_a_label_has_a_plate_of_its_own(background: str) -> None:
    """Under the letters lies the mark's colour, whatever the picture shows there. The same label, the same colour."""
    ground = canvas(colour=BACKGROUNDS[background])
    marks = [Box("cat", 100, 100, 200, 200), Box("dog", 250, 100, 350, 200), Box("cat", 100, 220, 200, 290)]
    pixels = np.asarray(painted(ground, marks, []))
    plate = pixels[100 - 9 : 100 - 3, 103:110].reshape(-1, 3)
    assert {tuple(pixel) for pixel in plate.tolist()} & {COLOURS[0], opposite(COLOURS[0])}
    assert (pixels[285, 100] == COLOURS[0]).all() and (pixels[150, 250] == COLOURS[1]).all()


def test_sizes_follow_the_picture() -> None:
    small, large = Brush(canvas(200, 150), []), Brush(canvas(2000, 1500), [])
    assert large.width >= 5 * small.width and large.letters >= 3 * small.letters and large.radius > small.radius
    assert small.letters >= 11


CORNERS = [(0, 0, 40, 30), (360, 0, 400, 30), (0, 270, 40, 300), (360, 270, 400, 300), (0, 0, 400, 300)]


@pytest.mark.parametrize("size", [(400, 300), (60, 300), (300, 40), (30, 20), (1, 1), (3000, 3)])
def test_labels_stay_inside_the_picture(size: tuple[int, int]) -> None:
    width, height = size
    boxes = [
        Box("a label of some length", l * width / 400, t * height / 300, r * width / 400, b * height / 300)
        for l, t, r, b in CORNERS
    ]
    points = [Point("p", 0, 0), Point("a longer point", width, height)]
    drawing = painted(canvas(*size), boxes, points)
    assert drawing.size == size
    brush = Brush(canvas(*size), [mark.label for mark in (*boxes, *points)])
    for mark in (*boxes, *points):
        brush.label(mark)
    for plate in brush._taken:
        is_tall, is_wide = plate.bottom - plate.top > height, plate.right - plate.left > width
        assert plate.left >= 0 and (is_wide or plate.right <= width), plate
        assert plate.top >= 0 and (is_tall or plate.bottom <= height), plate


def test_labels_keep_clear_of_each_other() -> None:
    """Eight boxes in nearly one place: no label covers another, and none its point's dot."""
    picture = canvas(800, 600)
    boxes = [Box(f"thing {i}", 300 + 3 * i, 200, 500 + 3 * i, 400) for i in range(6)]
    point = Point("right edge", 799, 300)
    brush = Brush(picture, [mark.label for mark in (*boxes, point)])
    for mark in (*boxes, point):
        brush.line(mark)
    for mark in (*boxes, point):
        brush.label(mark)
    areas = brush._taken
    assert len(areas) == 8
    assert not [area for i, area in enumerate(areas) if i and area.shared(np.array(areas[:i]))]


def test_a_label_too_long_for_the_picture_ends_in_an_ellipsis() -> None:
    brush = Brush(canvas(100, 100), [])
    text, font = brush._fitted("a label that would need a far wider picture than this")
    assert text.endswith("…") and len(text) > 5 and font.getlength(text) <= 100
    assert brush._fitted("short")[0] == "short"


@pytest.mark.parametrize(
    "label, shown, missing",
    [
        ("plain text", "plain text", ""),
        ("two\nlines\tand\x00more", "two lines and more", ""),
        ("café Ångström", "cafe Angstrom", ""),
        ("e\u0301", "e", ""),
        ("猫 cat", "? cat", "猫"),
        ("кот", "???", "кот"),
        ("why?", "why?", ""),
        ("\u200b  ", "", ""),
        ("😀", "?", "😀"),
        ("\ud800", "", ""),
    ],
)
def test_letters_of_other_scripts(label: str, shown: str, missing: str) -> None:
    assert drawable(label) == shown
    assert undrawn(label) == missing


def test_what_areas_share() -> None:
    area = Area(0, 0, 10, 10)
    assert area.shared(np.zeros((0, 4))) == 0
    assert area.shared(np.array([(5, 5, 20, 20), (10, 0, 20, 10), (2, 2, 4, 4)])) == 25 + 0 + 4


def test_an_area_moves_inside() -> None:
    assert Area(-5, -5, 5, 5).inside(20, 20) == (0, 0, 10, 10)
    assert Area(15, 18, 25, 28).inside(20, 20) == (10, 10, 20, 20)
    assert Area(-5, 3, 95, 9).inside(20, 20) == (0, 3, 100, 9)


@pytest.mark.parametrize(
    "marks",
    [
        {"boxes": [Box("a", float("nan"), 0, 1, 1)]},
        {"boxes": [Box("a", 0, 0, float("inf"), 1)]},
        {"boxes": [Box("a", 5, 0, 1, 1)]},
        {"boxes": [Box("a", 0, 5, 1, 1)]},
        {"points": [Point("p", float("nan"), 0)]},
        {"points": [Point("p", 0, 0)] * 1001},
    ],
)
def test_marks_that_have_no_place_are_refused(marks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw_module, "_drawn", None)  # before anything is decoded
    with pytest.raises(RequestError):
        draw(b"", **marks)


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    assert image.format == "PNG"
    return image.convert("RGB")


def saved(picture: Image.Image, format_: str = "PNG", **options: Any) -> bytes:
    out = BytesIO()
    picture.save(out, format_, **options)
    return out.getvalue()


@pytest.mark.slow
def test_every_kind_of_source_is_drawn_alike(tmp_path: Path) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))
    (tmp_path / "x.png").write_bytes(saved(picture))
    boxes, points = [Box("cat", 10, 20, 60, 50)], [Point("nose", 30, 30)]
    wanted = painted(picture, boxes, points)
    with Image.open(tmp_path / "x.png") as unread:
        sources = [tmp_path / "x.png", saved(picture), picture, np.asarray(picture), unread]
        for source in sources:
            found = opened(draw(source, boxes, points))
            assert found.size == picture.size and found.tobytes() == wanted.tobytes()


@pytest.mark.slow
def test_the_drawing_is_upright() -> None:
    """A camera held sideways: marks are in the pixels that were shown."""
    exif = Image.Exif()
    exif[0x112] = 6
    drawing = opened(draw(saved(canvas(80, 60), "JPEG", exif=exif), [Box("", 10, 20, 50, 70)]))
    assert drawing.size == (60, 80)
    assert (np.asarray(drawing)[45, 10] == COLOURS[0]).all()


@pytest.mark.slow
def test_marks_at_and_beyond_the_edge() -> None:
    picture = canvas(80, 60)
    over = opened(draw(picture, [Box("", -20, -20, 500, 30)]))
    assert (np.asarray(over)[0, 40] == COLOURS[0]).all() and (np.asarray(over)[29, 40] == COLOURS[0]).all()
    draw(picture, [Box("", 79, 59, 80, 60)], [Point("", 80, 60)])
    for wrong in ({"boxes": [Box("a", 80, 0, 90, 10)]}, {"points": [Point("a", 81, 0)]}):
        with pytest.raises(RequestError, match="outside the picture of 80 x 60 pixels"):
            draw(picture, **wrong)  # type: ignore[arg-type]


@pytest.mark.slow
def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.warns(UserWarning, match="no letters for them: 猫$") as told:
        draw(canvas(80, 60), [Box("猫 é", 0, 0, 50, 50)])
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(canvas(80, 60), [Box("é", 0, 0, 50, 50)])


def test_as_many_marks_as_are_drawn_fit_into_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with the longest labels, of the characters that take most bytes."""
    told: list[dict[str, Any]] = []

    def ran(job: str, file: Any, options: dict[str, Any], settings: MediaSettings) -> Any:
        told.append(options)
        return {"size": [80, 60]}, [np.frombuffer(draw_module.SIGNATURE, dtype=np.uint8)]

    monkeypatch.setattr("gemsmith.media.worker.run", ran)
    with pytest.warns(UserWarning):
        draw(b"x", [Box("\U0001f600" * 500, i / 70, i / 170, 1e9 / 3, 1e9 / 3) for i in range(1000)])
    assert len(told[0]["boxes"]) == 1000
    wire.encoded({"job": "draw", "options": told[0]})


@pytest.mark.slow
def test_many_marks_in_one_place() -> None:
    boxes = [Box(f"{i} \U0001f600" * 30, 5, 5, 15, 15) for i in range(60)]
    with pytest.warns(UserWarning):
        assert opened(draw(canvas(80, 60), boxes)).size == (80, 60)


@pytest.mark.slow
def test_damaged_and_large_pictures_are_refused() -> None:
    for data, code in ((saved(canvas())[:200], "media_damaged"), (b"no picture", "media_format")):
        with pytest.raises(MediaError) as caught:
            draw(data, [Box("a", 0, 0, 5, 5)])
        assert caught.value.code == code
    for source in (canvas(), saved(canvas())):
        with pytest.raises(MediaError) as caught:
            draw(source, [], settings=MediaSettings(max_pixels=1000))
        assert caught.value.code == "media_too_large"


def test_the_font_is_pillows_own() -> None:
    assert overlay.lettering(20).getname() == ("Aileron", "Regular")
