"""Seeing and hearing through the whole Model: real networks of every size with random weights, real preparation."""

from __future__ import annotations

import random
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import gemsmith
from gemsmith.chat.values import Audio, Image, Message, Part, Text, ToolCall, ToolResult, Video
from gemsmith.engine import Model

pytestmark = pytest.mark.slow

SIZES = ("e2b", "e4b", "12b", "26b-a4b", "31b")


@cache
def model(size: str) -> Model:
    return gemsmith.load(f"tiny-random-{size}", device="cpu")


def picture(seed: int, width: int = 90, height: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def sound(seed: int, seconds: float = 0.5) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, int(16_000 * seconds)).astype(np.float32)


def clip(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (3, 30, 40, 3), dtype=np.uint8)


def senses(size: str) -> list[Any]:
    """What makes a part from a seed, for every sense the size has."""
    made: list[Any] = [lambda seed: Image(picture(seed), 70), lambda seed: Video(clip(seed), sound=False)]
    return made if model(size).config.audio is None else [*made, lambda seed: Audio(sound(seed))]


def asked(*parts: Part) -> Message:
    return Message("user", (Text("Tell me."), *parts, Text("What is it?")))


@pytest.mark.parametrize("size", SIZES)
def test_other_media_other_logits_the_same_the_same(size: str) -> None:
    for make in senses(size):
        first, second, again = (model(size).logits(asked(make(seed))) for seed in (1, 2, 1))
        assert np.isfinite(first).all() and first.shape == second.shape
        assert np.array_equal(first, again)
        assert np.abs(first[-1] - second[-1]).max() > 1e-3


@pytest.mark.parametrize("size", SIZES)
def test_text_and_media_in_any_order(size: str) -> None:
    """The order is the message's; what stands before the media does not know of them, what stands behind does."""
    parts = [Text("one"), *(make(seed) for seed, make in enumerate(senses(size))), Text("two"), Image(picture(9), 70)]
    rng, seen = random.Random(4), set()
    for _ in range(3):
        rng.shuffle(parts)
        prompt = model(size).render(Message("user", tuple(parts)))
        kinds = [
            {Image: "Pixels", Video: "Frames", Audio: "Waveform"}[type(p)] for p in parts if not isinstance(p, Text)
        ]
        assert [type(each).__name__ for each in prompt.media] == kinds
        logits = model(size).logits(prompt)
        assert np.isfinite(logits).all() and len(logits) == len(prompt.ids)
        seen.add(logits[-1].tobytes())
    assert len(seen) > 1
    begin = model(size).logits(model(size).render("Tell me.").ids[:6])
    np.testing.assert_allclose(model(size).logits(asked(*parts))[:6], begin, atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_chat_stream_and_logits_agree_and_usage_counts(size: str) -> None:
    parts = [make(seed) for seed, make in enumerate(senses(size))]
    message, it = asked(*parts), model(size)
    reply = it.chat(message, temperature=0, max_tokens=4, top_logprobs=1)
    *_, done = it.stream(message, temperature=0, max_tokens=4, top_logprobs=1)
    assert done.message == reply and done.message.logprobs == reply.logprobs
    prompt = it.render(message)
    assert reply.logprobs is not None and reply.usage is not None
    best = it.logits(prompt)[-1].copy()
    best[[4090, 4093, 4095]] = -np.inf  # placeholders are never written
    assert reply.logprobs[0].id == int(best.argmax())
    usage = reply.usage
    counts = tuple(prompt.text.count(name) for name in ("<|image|>", "<|video|>", "<|audio|>"))
    assert (usage.image_tokens, usage.video_tokens, usage.audio_tokens) == counts
    assert usage.prompt_tokens == len(prompt.ids) > sum(counts) and counts[0] == 60 and counts[1] == 3 * 63
    assert reply.pictures == ((90, 60),)


@pytest.mark.parametrize("size", ["e2b", "12b", "31b"])
def test_logits_in_pieces_part_no_block(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    message = asked(*(make(seed) for seed, make in enumerate(senses(size))))
    whole = model(size).logits(message)
    for most in (5, 100):
        monkeypatch.setattr("gemsmith.engine.model.LOGITS_CHUNK", most)
        np.testing.assert_allclose(model(size).logits(message), whole, atol=3e-4)


def test_media_in_a_tool_result_are_seen() -> None:
    def last(seed: int) -> np.ndarray:
        asked_for = Message("assistant", (ToolCall("look", {}), ToolResult((Text("here"), Image(picture(seed), 70)))))
        return model("e2b").logits(["Look.", asked_for])[-1]

    assert np.abs(last(1) - last(2)).max() > 1e-3 and np.array_equal(last(1), last(1))


def test_a_later_turn_remembers_what_was_seen() -> None:
    it = gemsmith.load("tiny-random-e2b", device="cpu")
    seen: list[Any] = []
    encode = it.runtime.encode
    it.runtime.encode = lambda media: seen.append(media) or encode(media)  # type: ignore[method-assign, func-returns-value]
    conversation: list[Any] = [asked(Image(picture(1), 70))]
    for text in ("And now?", "And then?"):
        conversation += [it.chat(conversation, max_tokens=2, seed=1), text]
    assert len(seen) == 1
    it.chat([asked(Image(picture(1), 140))], max_tokens=1)
    assert len(seen) == 2, "another budget is another look"


def test_openais_shapes_and_ours_are_the_same_to_a_model() -> None:
    array = picture(3)
    ours = model("e2b").render(Message("user", (Image(array, 70), Text("What?"))))
    theirs = [{"type": "image", "image": array, "tokens": 70}, {"type": "text", "text": "What?"}]
    assert model("e2b").render({"role": "user", "content": theirs}) == ours


def test_frames_are_in_the_order_they_were_shown() -> None:
    frames = clip(1)
    logits = [model("31b").logits(asked(Video(each, sound=False)))[-1] for each in (frames, frames[::-1].copy())]
    assert np.abs(logits[0] - logits[1]).max() > 1e-3
    times = model("31b").render(asked(Video(frames, fps=1, sound=False))).text
    places = [times.index(time) for time in ("00:00 <|image>", " 00:01 <|image>", " 00:02 <|image>")]
    assert all(a < b for a, b in pairwise(places))
