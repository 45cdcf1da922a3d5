"""Media as callers write them: every shape, every option, and nothing passed over in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gemsmith.chat.messages import read_turns
from gemsmith.chat.parts import read_part
from gemsmith.chat.values import Audio, Document, Image, Message, Text, ToolCall, ToolResult, Video
from gemsmith.errors import MessageError

PICTURE = "data:image/png;base64,AAAA"


@pytest.mark.parametrize(
    ("part", "media"),
    [
        ({"type": "image_url", "image_url": {"url": PICTURE}}, Image(PICTURE)),
        ({"type": "image_url", "image_url": PICTURE}, Image(PICTURE)),
        ({"type": "image_url", "image_url": {"url": PICTURE, "detail": "auto"}}, Image(PICTURE)),
        ({"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}}, Image(PICTURE, 70)),
        ({"type": "image_url", "image_url": {"url": PICTURE, "detail": "high"}}, Image(PICTURE, 1120)),
        ({"type": "image_url", "image_url": {"url": PICTURE}, "tokens": 560}, Image(PICTURE, 560)),
        ({"type": "image_url", "image_url": {"url": PICTURE, "detail": None}, "tokens": None}, Image(PICTURE)),
        ({"type": "image", "image": b"GIF"}, Image(b"GIF")),
        ({"type": "image", "url": "https://example.org/a.png"}, Image("https://example.org/a.png")),
        ({"type": "image", "path": "a.png"}, Image("a.png")),
        ({"type": "image", "image": Path("a.png"), "text": None}, Image(Path("a.png"))),
        ({"type": "image", "base64": "AAAA"}, Image("data:application/octet-stream;base64,AAAA")),
        ({"type": "image"}, Image(None)),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            Audio("data:audio/mp3;base64,AAAA"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "data:audio/ogg;base64,AA=="}},
            Audio("data:audio/ogg;base64,AA=="),
        ),
        ({"type": "audio", "audio": "a.wav", "longer": "cut"}, Audio("a.wav", "cut")),
        ({"type": "audio_url", "audio_url": {"url": "a.wav"}}, Audio("a.wav")),
        ({"type": "video_url", "video_url": {"url": "a.mp4"}, "fps": 2}, Video("a.mp4", fps=2)),
        (
            {"type": "video", "video": "a.mp4", "frames": 8, "tokens": 140, "sound": False},
            Video("a.mp4", 8, tokens=140, sound=False),
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "x.pdf"}},
            Document("data:application/pdf;base64,AAAA"),
        ),
        ({"type": "file", "file": {"file_data": "AAAA"}}, Document("data:application/pdf;base64,AAAA")),
        ({"type": "document", "path": "a.pdf", "pages": [1, 3]}, Document("a.pdf", (1, 3))),
        ({"type": "document", "document": b"%PDF", "pages": "2-", "tokens": 1120}, Document(b"%PDF", "2-", 1120)),
    ],
)
def test_shapes(part: dict[str, Any], media: Any) -> None:
    before = repr(part)
    assert read_part(part, 0) == media
    assert repr(part) == before, "a caller's dictionary is not ours to change"


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"type": "image", "url": "a", "max_pixels": 9}, "image has no option 'max_pixels'; known are tokens"),
        ({"type": "audio", "url": "a", "tokens": 70}, "audio has no option 'tokens'; known are longer"),
        ({"type": "audio", "url": "a", "detail": "low"}, "no option 'detail'"),
        ({"type": "image_url", "image_url": {"url": "a", "zoom": 2}}, "no option 'zoom'"),
        ({"type": "image_url", "image_url": {"url": "a", "detail": "huge"}}, "detail is one of auto, low, high"),
        ({"type": "image_url", "image_url": {"url": "a", "detail": []}}, "detail is one of"),
        ({"type": "image_url", "image_url": {"url": "a", "detail": "low"}, "tokens": 70}, "either detail or tokens"),
        ({"type": "image_url", "image_url": {"url": "a", "tokens": 70}, "tokens": 280}, "says 'tokens' twice"),
        ({"type": "image", "url": "a", "path": "b"}, r"names its source twice \(url, path\)"),
        ({"type": "image", "image": {"bytes": b""}}, "an object without url"),
        ({"type": "image", "url": "a", "tokens": "70"}, "tokens must be a count of tokens, found '70'"),
        ({"type": "image", "url": "a", "tokens": True}, "tokens must be a count"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "a file is read from its file_data"),
        ({"type": "input_audio", "input_audio": {"data": "AA", "format": 3}}, "the format of a sound is a string"),
        ({"type": "audio", "url": "a", "longer": "drop"}, "longer must be 'refuse' or 'cut', found 'drop'"),
        ({"type": "video", "url": "a", "sound": 1}, "sound must be true or false"),
        ({"type": "video", "url": "a", "fps": 0}, "fps must be frames a second, a number above 0"),
        ({"type": "video", "url": "a", "fps": float("inf")}, "fps must be"),
        ({"type": "video", "url": "a", "frames": 2, "fps": 1}, "either frames, their count, or fps"),
        ({"type": "document", "url": "a", "pages": []}, "pages must be page numbers from 1"),
        ({"type": "document", "url": "a", "pages": [0]}, "pages must be page numbers from 1"),
    ],
)
def test_what_nobody_knows_is_an_error_that_names_the_message(part: dict[str, Any], reason: str) -> None:
    with pytest.raises(MessageError, match=f"message 3: .*{reason}"):
        read_part(part, 3)


def test_our_own_values_are_checked_as_well() -> None:
    bad: Any = Image("a.png", "70")  # type: ignore[arg-type]
    asked = Message("assistant", (ToolCall("f", {}),))
    for messages in (
        [Message("user", (bad,))],
        [{"role": "user", "content": [bad]}],
        [asked, Message("tool", (ToolResult((bad,)),))],
        [asked, {"role": "tool", "content": [{"type": "image", "url": "a.png", "tokens": "70"}]}],
    ):
        with pytest.raises(MessageError, match=r"message \d: tokens must be a count of tokens"):
            read_turns(["hi", *messages])


def test_a_list_of_parts_and_strings_is_one_question() -> None:
    picture, sound = Image("a.png"), Audio("b.wav")
    (turn,) = read_turns([picture, "and", sound, Text("alike?")])
    assert turn.content == (picture, Text("and"), sound, Text("alike?"))
    assert read_turns(picture) == read_turns([picture])
    assert [each.content for each in read_turns(["one", "two"])] == ["one", "two"]  # strings alone are a message each
    with pytest.raises(MessageError, match=r"message 1 is a lone Image; among messages, put it into one"):
        read_turns([Message("user", (Text("hi"),)), picture])


def test_documents_go_where_pictures_go() -> None:
    parts = (Text("a"), Document("a.pdf"), Text("b"))
    (user,) = read_turns(Message("user", parts))
    assert user.content == parts
    asked = Message("assistant", (ToolCall("f", {}), ToolResult((Document("a.pdf"),))))
    assert read_turns(asked)[0].results[0].content == (Document("a.pdf"),)
