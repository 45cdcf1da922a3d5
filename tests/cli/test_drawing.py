"""`--draw`: from an answer with boxes to a picture with them in it, and nothing where there is nothing to draw."""

from __future__ import annotations

import pytest

from gemsmith.chat.values import Event, Message, Text, Usage

from .media import write_picture

pytest.importorskip("PIL")
pytestmark = pytest.mark.slow


def answers(model, text, *sizes):
    message = Message("assistant", (Text(text),), Usage(1, 1), "stop", pictures=sizes)
    model.answer = lambda messages: iter([Event("text", text), Event("done", message=message)])


@pytest.fixture
def here(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    write_picture(folder / "one.png", 300, 200)
    write_picture(folder / "two.png", 300, 200)
    monkeypatch.chdir(folder)
    return folder


def test_boxes_and_points_are_drawn_into_the_last_picture(gemsmith_, model, here):
    from PIL import Image

    answers(
        model,
        '```json\n[{"box_2d": [100, 100, 900, 400], "label": "cup"}, {"point": [500, 700], "label": "ear"},'
        ' {"box_2d": [0, 0, 10, 10], "image": 1}, {"box_2d": [1, 2]}]\n```',
        (300, 200),
        (300, 200),
    )
    ended = gemsmith_(
        "run", "tiny-random-e2b", "where?", "--image", "one.png", "--image", "two.png", "--draw", "out.png"
    )
    assert ended.code == 0
    assert ended.err.splitlines() == [
        "(left out of the drawing: box_2d is no list of 4 numbers)",
        "(1 of what the answer marks lies in other pictures than the last, and is not drawn)",
        "(out.png: 1 box and 1 point)",
    ]
    with Image.open(here / "two.png") as before, Image.open(here / "out.png") as drawn:
        assert drawn.size == before.size and drawn.format == "PNG"
        places = [(30, 100), (119, 100), (75, 20), (75, 179), (210, 100), (75, 100), (290, 190)]
        changed = [at for at in places if before.getpixel(at) != drawn.convert("RGB").getpixel(at)]
        assert changed == places[:5]  # four sides and the point; neither inside nor outside
    assert sorted(path.name for path in here.iterdir()) == ["one.png", "out.png", "two.png"]


def test_an_answer_without_boxes_writes_nothing_and_says_so(gemsmith_, model, here):
    (here / "out.png").write_bytes(b"before")
    answers(model, "There is no cup.", (300, 200))
    ended = gemsmith_("run", "tiny-random-e2b", "where?", "--image", "one.png", "--draw", "out.png")
    assert ended.code == 0
    assert ended.err == "(the answer marks nothing in the picture, so out.png was not written)\n"
    assert (here / "out.png").read_bytes() == b"before"


def test_a_drawing_that_fails_leaves_what_was_there(gemsmith_, model, here):
    (here / "out.png").write_bytes(b"before")
    answers(model, '{"box_2d": [0, 0, 500, 500]}', (300, 200))
    (here / "one.png").write_bytes((here / "one.png").read_bytes()[:60])  # damaged since it was looked at
    ended = gemsmith_("run", "tiny-random-e2b", "where?", "--image", "one.png", "--draw", "out.png")
    assert ended.code == 1 and ended.err.startswith("gemsmith: error: --image one.png: ")
    assert (here / "out.png").read_bytes() == b"before"
    assert sorted(path.name for path in here.iterdir()) == ["one.png", "out.png", "two.png"]
