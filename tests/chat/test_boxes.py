"""Boxes and points of an answer: every shape Gemma writes them in, and no text that raises."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.chat.boxes import CUT, items, read_marks
from gemsmith.chat.values import Malformed, Message, Text, Thought
from gemsmith.media.marks import Box, Point

WIDE = ((2000, 1000),)  # pixels are twice, and once, the grid
CAT = Box("cat", 400, 100, 800, 300)
CLEAR = {
    "a list in a fence": '```json\n[\n  {"box_2d": [100, 200, 300, 400], "label": "cat"}\n]\n```',
    "bare": '[{"label": "cat", "box_2d": [100, 200, 300, 400]}]',
    "one object": '{"box_2d": [100, 200, 300, 400], "label": "cat"}',
    "prose around it": 'Here {it} is: {"box_2d": [100, 200, 300, 400], "label": "cat"} - a cat [1].',
    "swapped corners": '{"box_2d": [300, 400, 100, 200], "label": "cat"}',
    "strings": '{"box_2d": ["100", "200", " 300", "400.0"], "label": "cat"}',
    "one string": '{"box_2d": "[100, 200, 300, 400]", "label": "cat"}',
    "a list in the list": '{"box_2d": [[100, 200, 300, 400]], "label": "cat"}',
    "inside another object": '{"objects": {"found": [{"box_2d": [100, 200, 300, 400], "label": "cat"}]}}',
    "the list never ends": '[{"box_2d": [100, 200, 300, 400], "label": "cat"},',
    "more about it": '{"box_2d": [100, 200, 300, 400], "label": "cat", "is": {"asleep": [true, null]}}',
}
UNCLEAR = {
    "cut short": '[{"box_2d": [100, 200, 3',
    "python, not JSON": "{'box_2d': [100, 200, 300, 400]}",
    "three numbers": '{"box_2d": [100, 200, 300]}',
    "five numbers": '{"box_2d": [1, 2, 3, 4, 5]}',
    "NaN": '{"box_2d": [NaN, 1, 2, 3]}',
    "infinity": '{"box_2d": [1e999, 1, 2, 3]}',
    "a word": '{"box_2d": ["left", 1, 2, 3]}',
    "truth": '{"box_2d": [true, 1, 2, 3]}',
    "nothing": '{"box_2d": null}',
    "an object": '{"box_2d": {"x": 1}}',
    "empty": '{"box_2d": []}',
    "lists of other lengths": '{"box_2d": [[1, 2, 3, 4], [1, 2]]}',
    "lists of lists of lists": '{"box_2d": [[[1, 2, 3, 4]]]}',
    "no area": '{"box_2d": [10, 10, 10, 50]}',
    "beyond the picture": '{"box_2d": [1200, 1200, 1300, 1300]}',
    "before the picture": '{"box_2d": [-5, -5, 0, 40]}',
    "a point of three": '{"point": [1, 2, 3]}',
    "a number of 5000 digits": f'{{"box_2d": [{"9" * 3000}, 1, 2, 3]}}',
}


@pytest.mark.parametrize("text", CLEAR.values(), ids=CLEAR)
def test_what_is_clear_is_read(text):
    marks = read_marks(text, WIDE)
    assert marks.boxes == (CAT,)
    assert marks.points == marks.left_out == ()


@pytest.mark.parametrize("text", UNCLEAR.values(), ids=UNCLEAR)
def test_what_is_unclear_is_left_out_and_counted(text):
    marks = read_marks(f'{text} {{"box_2d": [100, 200, 300, 400], "label": "cat"}}', WIDE)
    assert len(marks.left_out) == 1
    assert marks.boxes == (CAT,)  # and spoils nothing else


def test_what_reaches_beyond_the_grid_is_cut_at_the_edge():
    assert read_marks('{"box_2d": [-50, 500, 500, 1024], "label": "x"}', WIDE).boxes == (Box("x", 1000, 0, 2000, 500),)
    assert read_marks('{"point": [1001, -3]}', WIDE).points == (Point("", 0, 1000),)


@pytest.mark.parametrize("key", ["point", "point_2d", "points"])
def test_points(key):
    assert read_marks(f'{{"{key}": [250, 500], "label": "nose"}}', WIDE).points == (Point("nose", 1000, 250),)
    several = read_marks(f'{{"{key}": [[250, 500], [0, 0]], "label": "ear"}}', WIDE)
    assert several.points == (Point("ear", 1000, 250), Point("ear", 0, 0))


def test_an_item_may_have_both_and_blocks_are_read_in_order():
    text = '```json\n[{"box_2d": [0, 0, 10, 10], "point": [5, 5], "label": "a"}]\n```\nand\n{"box_2d": [1, 1, 2, 2]}'
    marks = read_marks(text, ((1000, 1000),))
    assert [box.label for box in marks.boxes] == ["a", ""]
    assert marks.points == (Point("a", 5, 5),)


@pytest.mark.parametrize(
    "name, picture",
    [("", 2), ('"image": 1,', 0), ('"image": "Image 2",', 1), ('"image": "3",', 2), ('"image_index": 0,', 0),
     ('"image_index": "1",', 1), ('"image": null,', 2)],
)  # fmt: skip
def test_of_several_pictures_the_last_is_meant_unless_one_is_named(name, picture):
    sizes = ((100, 100), (200, 200), (400, 400))
    (box,) = read_marks(f'{{{name} "box_2d": [0, 0, 1000, 1000]}}', sizes).boxes
    assert (box.picture, box.right, box.bottom) == (picture, *sizes[picture])


@pytest.mark.parametrize(
    "name", ['"image": 0', '"image": 4', '"image_index": 3', '"image": "the left"', '"image": -1.5']
)
def test_a_picture_that_is_not_there_is_left_out(name):
    marks = read_marks(f'{{{name}, "box_2d": [0, 0, 1000, 1000]}}', ((100, 100),) * 3)
    assert not marks.boxes and len(marks.left_out) == 1
    assert read_marks(f'{{{name}, "box_2d": [0, 0, 1000, 1000]}}', ((100, 100),)).boxes  # of one, there is no question


def test_without_a_picture_a_place_means_nothing():
    assert not read_marks(CLEAR["bare"], ())
    assert "no picture" in read_marks(CLEAR["bare"], ()).left_out[0]


def test_a_message_has_them_from_its_words_alone():
    thought = Thought('{"box_2d": [0, 0, 500, 500], "label": "a draft"}')
    message = Message("assistant", (thought, Text(CLEAR["a list in a fence"])), pictures=WIDE)
    assert message.boxes == (CAT,) and message.points == () and message.marks.left_out == ()
    assert Message("assistant", (Malformed("call:{", "x"), Text("No cat.")), pictures=WIDE).marks.left_out == ()
    assert Message("assistant", message.parts).boxes == ()


@pytest.mark.parametrize(
    "piece", ['{"a":', '{"box_2d": [1,', "[[", '{"a" ', '{"box_2d": [1, 2, 3, 4]}', '"box_2d":', "{"]
)
@pytest.mark.slow
def test_no_text_takes_long(piece):
    start = time.process_time()
    read_marks(piece * 20_000 + '{"box_2d": [1', WIDE)
    assert time.process_time() - start < 10  # 0.5 s; all tries at all braces would be minutes


values = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 1100) | st.floats() | st.text("box_2d 0123456789,[]{}\"'", max_size=9),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["box_2d", "point", "points", "label", "image", "image_index", "x"]), inner)
    ),
    max_leaves=12,
)
sizes = st.lists(st.tuples(st.integers(1, 9000), st.integers(1, 9000)), max_size=3).map(tuple)


@pytest.mark.slow
@given(value=values, before=st.text(max_size=8), cut=st.integers(0, 40), pictures=sizes)
def test_no_answer_raises_and_every_mark_lies_in_its_picture(value, before, cut, pictures):
    text = json.dumps(value)
    marks = read_marks(before + text[: len(text) - cut], pictures)
    for box in marks.boxes:
        width, height = pictures[box.picture]
        assert 0 <= box.left < box.right <= width and 0 <= box.top < box.bottom <= height
    for point in marks.points:
        width, height = pictures[point.picture]
        assert 0 <= point.x <= width and 0 <= point.y <= height


grid = st.integers(0, 1000)


@pytest.mark.slow
@given(st.lists(st.tuples(grid, grid, grid, grid, st.text(max_size=5)), max_size=6), st.integers(0, 200))
def test_every_item_is_a_mark_or_left_out(found, cut):
    written = [{"box_2d": list(corners), "label": label} for *corners, label in found]
    text = json.dumps(written)
    marks = read_marks(text, WIDE)
    assert len(marks.boxes) + len(marks.left_out) == len(written)
    with_area = [item for item in written if all(len(set(item["box_2d"][axis::2])) == 2 for axis in (0, 1))]
    for box, item in zip(marks.boxes, with_area, strict=True):
        ys, xs = sorted(item["box_2d"][::2]), sorted(item["box_2d"][1::2])
        assert [box.left, box.right] == pytest.approx([2 * x for x in xs])
        assert [box.top, box.bottom] == pytest.approx(ys) and box.label == item["label"]
    whole = [item for item in items(text[: max(0, len(text) - cut)]) if item is not None]
    assert whole == written[: len(whole)]  # what is cut short loses its end alone


def test_what_cannot_be_decoded_says_so():
    assert read_marks('[{"box_2d": [1, 2, 3, 4]}, {"box_2d": [', WIDE).left_out == (CUT,)
