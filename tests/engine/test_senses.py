"""Media on their way to a model: what is refused and when, what an item is called, what is decoded and kept once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import gemsmith.media.clip
import gemsmith.media.document
import gemsmith.media.picture
import gemsmith.media.sound
from gemsmith.chat.values import Audio, Document, Image, Message, Prompt, Text, ToolCall, ToolResult, Video
from gemsmith.config import ModelConfig, preset
from gemsmith.engine.senses.cutting import stretches
from gemsmith.engine.senses.keeping import KeptSoft
from gemsmith.engine.senses.names import named
from gemsmith.errors import ContextLengthError, MediaError, ModelFileError, RequestError, UnsupportedMediaError
from gemsmith.media.prepared import Frames, Pixels, Waveform
from gemsmith.media.settings import MediaSettings
from gemsmith.runtime.places import Placeholders
from tests.engine.fake import FakeSoft, fake_model

E2B, DEAF, BLIND = preset("tiny-random-e2b"), preset("tiny-random-31b"), preset("pebble")
PICTURE = np.zeros((48, 48, 3), np.uint8)  # 64 tokens at a budget of 70
SECOND = np.zeros(16_000, np.float32)  # 25 tokens


def asked(*parts: Any) -> Message:
    return Message("user", (Text("Look: "), *parts, Text("?")))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Sources in the order they were opened; a fake decoder stands for each kind."""
    sources: list[Any] = []

    def note(make: Callable[..., Any]) -> Callable[..., Any]:
        def opening(source: Any, **options: Any) -> Any:
            sources.append(source)
            return make(**options)

        return opening

    pixels = Pixels(np.zeros((96, 48, 3), np.uint8), (30, 60))
    frames = Frames(np.zeros((2, 48, 48, 3), np.uint8), (0.0, 61.0), (640, 480))

    def clip(*, sound: bool, **_: Any) -> gemsmith.media.clip.Clip:
        track = Waveform(np.zeros(40 * 16_000, np.float32)) if sound else None
        return gemsmith.media.clip.Clip(frames, track, "a remark.")

    monkeypatch.setattr(gemsmith.media.picture, "picture", note(lambda **_: pixels))
    monkeypatch.setattr(gemsmith.media.document, "pages", note(lambda **_: (pixels, pixels, pixels)))
    monkeypatch.setattr(gemsmith.media.sound, "sound", note(lambda **_: Waveform(SECOND)))
    monkeypatch.setattr(gemsmith.media.clip, "clip", note(clip))
    return sources


@pytest.mark.parametrize("config", [BLIND, DEAF], ids=["reads text alone", "sees but does not hear"])
@pytest.mark.parametrize("part", [Image("a"), Document("a"), Video("a"), Audio("a")], ids=lambda p: type(p).__name__)
def test_a_model_without_the_sense_refuses_before_anything_is_opened(
    opened: list[Any], config: ModelConfig, part: Any, request: pytest.FixtureRequest
) -> None:
    model = fake_model([], config=config)
    result = [Message("assistant", (ToolCall("f", {}), ToolResult((Text("x"), part))))]
    openai = {"role": "user", "content": [{"type": type(part).__name__.lower(), "url": "a"}]}
    if config is DEAF and not isinstance(part, Audio):
        return
    for messages in (asked(part), ["hi", *result], openai):
        for ask in (model.render, model.chat, model.stream):
            with pytest.raises(
                UnsupportedMediaError, match=f" 1: fake cannot take .* parts: it .*{_able(config)}"
            ) as e:
                ask(messages)
            assert isinstance(e.value.part, type(part))
    assert not opened


def _able(config: ModelConfig) -> str:
    return "sees but does not hear" if config is DEAF else "reads text alone"


def test_a_tokenizer_that_means_other_ids_is_refused(opened: list[Any]) -> None:
    model = fake_model([], config=replace(E2B, image_token_id=300))
    with pytest.raises(ModelFileError, match=r"image_token_id is 300, but in the tokenizer <\|image\|> is 4090"):
        model.render(asked(Image("a")))
    assert not opened


def test_items_are_called_by_kind_and_number() -> None:
    media = [Image("a"), Audio("b"), Image("c"), Video("d"), Document("e"), Audio("f")]
    assert [name for name, _ in named(media)] == [
        "picture 1",
        "sound 1",
        "picture 2",
        "clip 1",
        "document 1",
        "sound 2",
    ]


def test_an_error_says_which_item_and_never_its_path() -> None:
    model = fake_model([])
    parts = [Image(PICTURE), Audio("/nowhere/secret.wav"), Image("/nowhere/secret.png")]
    with pytest.raises(MediaError, match=r"^sound 1: there is no regular file") as caught:
        model.render(asked(*parts))
    assert caught.value.code == "media_not_found" and caught.value.part == parts[1]
    assert "secret" not in str(caught.value)
    with pytest.raises(MediaError, match=r"^picture 2: "):
        model.render(asked(parts[0], parts[2]))
    with pytest.raises(MediaError, match=r"^picture 1: it names no source"):
        model.render({"role": "user", "content": [{"type": "image"}]})


@pytest.mark.parametrize("part", [Image("a", 71), Document("a", tokens=1), Video("a", tokens=2000)])
def test_a_budget_that_does_not_exist_is_refused_before_anything_is_opened(opened: list[Any], part: Any) -> None:
    with pytest.raises(RequestError, match=r" 1: .*70, 140, 280, 560 or 1120"):
        fake_model([]).render(asked(Image("b"), Audio("c"), part) if type(part) is not Image else asked(part))
    assert not opened


@pytest.mark.slow
def test_e9_ten_thousand_pictures_are_refused_at_once(opened: list[Any]) -> None:
    model = fake_model([], max_context=2048)
    parts = [{"type": "image_url", "image_url": {"url": f"{number}.png"}} for number in range(10_000)]
    for ask in (model.render, model.stream):
        start = time.process_time()
        with pytest.raises(MediaError, match="10000 pictures, pages, clips and sounds, more than the 256") as caught:
            ask({"role": "user", "content": parts})
        assert caught.value.code == "media_too_large" and time.process_time() - start < 2
    assert not opened


def test_pages_count_as_items_too(opened: list[Any]) -> None:
    parts = [Document(str(number)) for number in range(5)]
    with pytest.raises(MediaError, match="holds 9 pictures, pages"):
        fake_model([]).render(asked(*parts), media=MediaSettings(max_items=8))
    assert opened == ["0", "1", "2"]


def test_e9_one_picture_a_hundred_times_is_decoded_and_seen_once(opened: list[Any]) -> None:
    model = fake_model([], max_context=2048)
    data = b"x" * 1000
    parts = [Image(bytearray(data)[:] and bytes(bytearray(data))) for _ in range(100)]
    message = model.chat(asked(*parts), max_tokens=1)
    assert len(opened) == 1 and message.usage is not None and message.usage.image_tokens == 200
    assert message.pictures == ((30, 60),) * 100
    runtime: Any = model.runtime
    assert len(runtime.encoded) == 1 and runtime.soft == [200]
    model.chat(asked(Image("another source, the same pixels")), max_tokens=1)
    assert len(opened) == 2 and len(runtime.encoded) == 1


def test_options_and_unlike_objects_are_not_taken_for_the_same(opened: list[Any]) -> None:
    one, other = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 3), np.uint8)
    parts = [Image("a"), Image("a", 70), Image("a", 140), Image(one), Image(one), Image(other), Image("a")]
    fake_model([]).render(asked(*parts))
    assert len(opened) == 5


def test_a_request_that_cannot_fit_stops_at_the_item_that_is_too_much(opened: list[Any]) -> None:
    model = fake_model([], max_context=40)
    sounds = [Audio(str(number)) for number in range(9)]
    with pytest.raises(ContextLengthError, match=r"has at least \d\d tokens but .* is 40") as caught:
        model.stream(asked(*sounds))
    assert opened == ["0", "1"] and caught.value.num_tokens > 50
    assert len(model.render(asked(*sounds)).ids) > 225, "what is only rendered has no context to fit into"


def test_bad_options_are_told_before_anything_is_opened(opened: list[Any]) -> None:
    with pytest.raises(RequestError, match="temperature"):
        fake_model([]).stream(asked(Image("a")), temperature=-1)
    assert not opened


def test_a_clip_is_frames_with_their_times_and_then_its_sound(opened: list[Any]) -> None:
    with pytest.warns(UserWarning) as said:
        prompt = fake_model([]).render(asked(Video("a"), Document("b")))
    remarks = [str(each.message) for each in said]
    assert remarks == [
        "clip 1: a remark.",
        "clip 1: its sound track of 40 s is cut at quiet places: 30 s are heard at once",
    ]
    picture = "<|image>" + "<|image|>" * 2 + "<image|>"
    body = prompt.text.partition("Look:")[2].partition("?")[0]
    frames, *sounds = body.replace("<|audio|>", "").removesuffix(picture * 3).split("<|audio><audio|>")
    assert frames == "00:00 <|image><|video|><image|> 01:01 <|image><|video|><image|>" and sounds == ["", ""]
    assert [type(each).__name__ for each in prompt.media] == ["Frames", "Waveform", "Waveform", *["Pixels"] * 3]
    assert prompt.text.count("<|audio|>") == 1000


def test_a_model_that_does_not_hear_gets_the_frames_and_says_so(opened: list[Any]) -> None:
    model = fake_model([], config=DEAF)
    with pytest.warns(UserWarning) as said:
        prompt = model.render(asked(Video("a")))
    assert "clip 1: this model sees but does not hear" in str(said[1].message)
    assert [type(each).__name__ for each in prompt.media] == ["Frames"]
    with pytest.warns(UserWarning, match="a remark") as said:
        model.render(asked(Video("a", sound=False)))
    assert len(said) == 1


def test_sound_longer_than_can_be_heard_is_refused_or_cut() -> None:
    model, long = fake_model([]), np.zeros(31 * 16_000, np.float32)
    with pytest.raises(MediaError, match=r"^sound 1: it lasts 31.00 s, .* 30 s at once; have it cut"):
        model.render(asked(Audio(long)))
    prompt = model.render(asked(Audio(long, "cut")))
    assert sum(len(each.samples) for each in prompt.media if isinstance(each, Waveform)) == len(long)
    assert "<|audio|><audio|><|audio><|audio|>" in prompt.text and prompt.text.count("<|audio|>") == 775
    with pytest.raises(MediaError, match=r"^sound 1: it is too short to hear"):
        model.render(asked(Audio(long[:100])))


def test_a_prompt_that_was_tampered_with_is_refused() -> None:
    model = fake_model([])
    prompt = model.render(asked(Image(PICTURE, 70), Audio(SECOND)))
    for wrong in (
        Prompt(prompt.ids),
        Prompt(prompt.ids, prompt.media[:1]),
        Prompt(prompt.ids, (*prompt.media, *prompt.media)),
        Prompt(prompt.ids[:30], prompt.media),
        list(prompt.ids),
    ):
        with pytest.raises(RequestError, match="placeholder ids but its media have"):
            model.logits(wrong)


def test_a_picture_longer_than_the_model_has_positions_for_is_refused() -> None:
    with pytest.raises(RequestError, match=r"^picture 1: 560 x 1 soft tokens are longer than the 280"):
        fake_model([]).render(asked(Image(np.zeros((2, 2000, 3), np.uint8), 560)))


def test_placeholders_are_never_written() -> None:
    flat = np.zeros(4096, np.float32)
    flat[[4090, 4093, 4095, 300]] = 50.0
    reply = fake_model([flat] * 8).chat("x", max_tokens=8, logprobs=True)
    assert {token.id for token in reply.logprobs or ()} == {300}


def pixels(seed: int) -> Pixels:
    return Pixels(np.full((48, 48, 3), seed, np.uint8), (1, 1))


def test_soft_tokens_are_kept_up_to_a_number_of_bytes_the_last_used() -> None:
    encoded: list[int] = []

    def encode(media: Any) -> FakeSoft:
        encoded.append(int(media.rgb[0, 0, 0]))
        return FakeSoft(10)

    kept = KeptSoft(encode, row_bytes=4, max_bytes=100)  # two of them
    for seed in (1, 2, 1, 3, 1, 2):
        kept(pixels(seed))
    assert encoded == [1, 2, 3, 2] and kept.nbytes == 80
    kept.clear()
    kept(pixels(2))
    assert encoded[-2:] == [2, 2] and kept.nbytes == 40
    small = KeptSoft(encode, row_bytes=4, max_bytes=39)
    assert len(small(pixels(1))) == 10 and small.nbytes == 0, "what is larger than all is used, and not kept"


@pytest.mark.parametrize("most", [1, 3, 4, 7, 100])
def test_stretches_part_no_item(most: int) -> None:
    places = Placeholders((7,), (8,))
    ids = [1, 7, 7, 2, 8, 8, 8, 8, 8, 3, 7, 1, 1, 7, 1, 7, 2, 2, 2, 8]
    soft: Sequence[Any] = [FakeSoft(count) for count in (2, 5, 3, 1)]  # the third is a clip: its frames stay together
    cut = list(stretches(ids, soft, places, most))
    assert [id for some, _ in cut for id in some] == ids
    assert [each for _, some in cut for each in some] == list(soft)
    for some, here in cut:
        assert sum(map(len, here)) == int(places.are_soft(some).sum())
        assert len(some) <= most or len(here) == 1
