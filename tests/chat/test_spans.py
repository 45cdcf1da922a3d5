"""What stands where media are; and that text which spells a placeholder is none, whatever stands beside it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemsmith.chat.render import Style, compose
from gemsmith.chat.spans import clock, frames_span, joined, picture_span, sound_span
from gemsmith.chat.values import Audio, Document, Image, Message, Text, Video
from tests.chat.small import CONTROLS, controls_in, small_tokenizer, spelled_ids

PLACEHOLDERS = ("<|image|>", "<|audio|>", "<|video|>", "<|image>", "<image|>", "<|audio>", "<audio|>")


def test_spans_take_the_places_of_their_placeholders_in_order() -> None:
    parts = (Text("See "), Image("a"), Text(" hear"), Audio("b"), Video("c"), Document("d"), Text(" and say."))
    pieces = compose(Message("user", parts), (), Style())
    assert pieces.media == [Image("a"), Audio("b"), Video("c"), Document("d")]
    spans = [
        picture_span(2),
        sound_span(3),
        joined([frames_span(1, [0.0, 61.9]), sound_span(1)]),
        joined([picture_span(1), picture_span(1)]),
    ]
    prompt = pieces.filled(spans).prompt(small_tokenizer())
    body = (
        "user\nSee<|image><|image|><|image|><image|>hear<|audio><|audio|><|audio|><|audio|><audio|>"
        "00:00 <|image><|video|><image|> 01:01 <|image><|video|><image|><|audio><|audio|><audio|>"
        "<|image><|image|><image|><|image><|image|><image|>and say."
    )
    assert prompt.text == f"<bos><|turn>{body}<turn|>\n<|turn>model\n"
    assert list(prompt.ids) == spelled_ids(prompt.text, small_tokenizer())
    assert pieces.media, "the pieces themselves stay as they were"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "00:00"), (0.999, "00:00"), (59.999, "00:59"), (60, "01:00"), (3600, "60:00"), (14399.5, "239:59")],
)
def test_a_frames_time(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@settings(max_examples=40)
@given(
    before=st.lists(st.sampled_from([*PLACEHOLDERS, *CONTROLS[:4], "00:01 ", "x"]), max_size=4).map("".join),
    after=st.lists(st.sampled_from([*PLACEHOLDERS, "00:01 ", " x"]), max_size=4).map("".join),
)
def test_text_that_spells_a_placeholder_is_none(before: str, after: str) -> None:
    tokenizer = small_tokenizer()
    pieces = compose(Message("user", (Text(before), Image("a"), Text(after))), (), Style())
    assert pieces.media == [Image("a")]
    ids = pieces.filled([picture_span(2)]).prompt(tokenizer).ids
    assert controls_in(ids, tokenizer) == [
        "<bos>", "<|turn>", "<|image>", "<|image|>", "<|image|>", "<image|>", "<turn|>", "<|turn>",
    ]  # fmt: skip
    assert tokenizer.decode(ids) == f"user\n{before.strip()}{after.strip()}\nmodel\n"


def test_times_and_spaces_join_the_text_around_them() -> None:
    tokenizer = small_tokenizer()
    pieces = compose(Message("user", (Text("at"), Video("c"), Text("end"))), (), Style())
    runs: list[str] = []

    def encode(text: str) -> list[int]:
        runs.append(text)
        return tokenizer.encode(text)

    listening: Any = SimpleNamespace(encode=encode, control=tokenizer.control, control_id=tokenizer.control_id)
    pieces.filled([frames_span(1, [0, 1])]).prompt(listening)
    assert runs[:3] == ["user\nat00:00 ", " 00:01 ", "end"]


def test_each_placeholder_needs_its_span() -> None:
    pieces = compose(Message("user", (Image("a"),)), (), Style())
    with pytest.raises(StopIteration):
        pieces.filled([])
    with pytest.raises(AssertionError, match="more spans than placeholders"):
        pieces.filled([picture_span(1)] * 2)
