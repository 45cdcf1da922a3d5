"""Speech to text: the prompts, long sounds in cuts, and texts joined as a reader would."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemsmith.chat.values import Usage
from gemsmith.config import preset
from gemsmith.engine import Model
from gemsmith.engine.transcribe import Stitched, joint, prompt_for
from gemsmith.errors import MediaError, RequestError, SamplingError, UnsupportedMediaError
from tests.engine.fake import END_OF_TURN, fake_model, text_ids

LONG = np.zeros(70 * 16_000, np.float32)  # three cuts


def speaker(text: str) -> Model:
    """A model that answers every cut with `text`."""
    return fake_model([*text_ids(text), END_OF_TURN], max_context=2048)


def asked_of(model: Model) -> list[str]:
    """The prompts the model read, spelled out."""
    runtime: Any = model.runtime
    return [model.tokenizer.decode(ids, control=True) for ids in runtime.batches if len(ids) > 1]


def test_prompts_are_the_model_cards() -> None:
    rules = (
        "\n\nFollow these specific instructions for formatting the answer:\n"
        "* Only output the transcription, with no newlines.\n"
        "* When transcribing numbers, write the digits, i.e. write 1.7 and not one point seven, and write 3 instead of"
        " three."
    )
    begin = "Transcribe the following speech segment in"
    assert prompt_for("German", None) == f"{begin} German into German text.{rules}"
    assert prompt_for(None, None) == f"{begin} its original language.{rules}"
    assert prompt_for("German", "French") == (
        f"{begin} German, then translate it into French.\nWhen formatting the answer, first output the transcription in"
        " German, then one newline, then output the string 'French: ', then the translation in French."
    )


def test_the_sound_goes_before_the_words_and_greedily() -> None:
    model = speaker("Hello there.")
    reply = model.transcribe(LONG[: 16_000 * 2], language="English")
    assert (reply.text, reply.finish_reason) == ("Hello there.", "stop")
    (prompt,) = asked_of(model)
    assert "user\n<|audio>" + "<|audio|>" * 50 + "<audio|>Transcribe the following speech segment in English" in prompt
    assert reply.usage is not None and reply.usage.audio_tokens == 50


def test_a_long_sound_is_heard_in_cuts_and_the_texts_joined() -> None:
    model = speaker(" Hello there. \n")
    reply = model.transcribe(LONG)
    assert reply.text == "Hello there. Hello there. Hello there."
    assert len(asked_of(model)) == 3
    assert isinstance(reply.usage, Usage) and reply.usage.audio_tokens == 70 * 25
    *events, done = model.stream_transcript(LONG)
    assert "".join(event.text for event in events) == reply.text and done.message == reply
    assert {event.kind for event in events} == {"text"}


def test_translations_follow_the_whole_transcription() -> None:
    model = speaker("Hello.\nGerman: Hallo.")
    reply = model.transcribe(LONG, to="German")
    assert reply.text == "Hello. Hello. Hello.\nGerman: Hallo. Hallo. Hallo."
    assert "".join(event.text for event in model.stream_transcript(LONG, to="German")) == reply.text
    assert speaker("Hello.").transcribe(LONG, to="German").text == "Hello. Hello. Hello."


def test_a_cut_that_ran_out_of_tokens_is_told() -> None:
    assert speaker("Hello there, all of you.").transcribe(LONG, max_tokens=2).finish_reason == "length"


def test_what_is_wrong_is_told_before_the_first_event() -> None:
    model = speaker("x")
    for wrong in (3, "", "Ger\nman", "x" * 101):
        with pytest.raises(RequestError, match="a language is named by a word"):
            model.stream_transcript(LONG, to=wrong)
    with pytest.raises(SamplingError):
        model.stream_transcript(LONG, temperature=-1)
    with pytest.raises(MediaError, match=r"^sound 1: there is no regular file"):
        model.stream_transcript("/nowhere/secret.wav")
    for name in ("pebble", "tiny-random-31b"):
        with pytest.raises(UnsupportedMediaError, match=r"^sound 1: fake cannot take audio parts"):
            fake_model([], config=preset(name)).stream_transcript("/nowhere/secret.wav")


def test_closing_the_stream_stops_the_model() -> None:
    model = speaker("Hello there.")
    runtime: Any = model.runtime
    events = model.stream_transcript(LONG)
    next(events)
    assert runtime.live
    events.close()
    assert not runtime.live


@pytest.mark.parametrize(
    ("left", "right", "between"),
    [
        ("", "a", ""), ("a", "", ""), ("a", "b", " "), ("a ", "b", ""), ("a.", "B", " "), ("你好", "世界", ""),
        ("です。", "はい", ""), ("สวัสดี", "ครับ", ""), ("안녕", "하세요", " "), ("你好", "world", " "),
        ("да", "нет", " "),
    ],
)  # fmt: skip
def test_what_stands_between_two_cuts(left: str, right: str, between: str) -> None:
    assert joint(left, right) == between


words = st.text(alphabet="ab \n你", max_size=12)


@settings(max_examples=30)
@given(cuts=st.lists(st.lists(words, max_size=4), max_size=3), to=st.sampled_from([None, "German"]))
def test_however_the_text_comes_the_whole_is_the_same(cuts: list[list[str]], to: str | None) -> None:
    pieces, whole = Stitched(to), Stitched(to)
    shown: list[str] = []
    for cut in cuts:
        pieces.begin(), whole.begin()
        shown += [pieces.push(text) for text in cut]
        whole.push("".join(cut))
    shown += pieces.finish()
    list(whole.finish())
    assert "".join(shown) == pieces.text == whole.text
    assert pieces.text == pieces.text.strip()
