"""A Model with a real network: seeds, streams side by side, messages in every form, logits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from typing import Any

import numpy as np
import pytest

import gemsmith
from gemsmith import kernels
from gemsmith.chat.values import Event, Message, Prompt, Text
from gemsmith.engine import Model
from gemsmith.errors import ContextLengthError, MessageError, RequestError
from tests.engine.fake import fake_model

SHORT: dict[str, Any] = {"max_tokens": 24}  # three windows


def test_a_model_shows_what_it_is(tiny: Model) -> None:
    assert repr(tiny) == f"<gemsmith.Model {tiny.name!r}: {tiny.max_context:,} tokens of context, torch runtime>"


@pytest.mark.slow
def test_the_same_seed_says_the_same_and_others_differ(tiny: Model) -> None:
    replies = [tiny.chat("hello", seed=seed, **SHORT).text for seed in (1, 1, 2)]
    assert replies[0] == replies[1] != replies[2]
    assert tiny.complete("hello", seed=1, **SHORT) == tiny.complete("hello", seed=1, **SHORT)
    assert tiny.chat("hello", **SHORT).text != tiny.chat("hello", **SHORT).text


def test_temperature_zero_takes_the_likeliest(tiny: Model) -> None:
    reply = tiny.chat("hello", temperature=0, top_logprobs=1, max_tokens=8)
    assert reply.logprobs is not None and all(token.id == token.top[0][0] for token in reply.logprobs)
    prompt = tiny.render("hello").ids
    ids = [token.id for token in reply.logprobs]
    logits = tiny.logits([*prompt, *ids])
    assert list(logits[len(prompt) - 1 : -1].argmax(-1)) == ids


def test_a_stream_is_the_chat(tiny: Model) -> None:
    *events, done = tiny.stream("hello", seed=3, **SHORT)
    assert done.kind == "done" and done.message == tiny.chat("hello", seed=3, **SHORT)
    assert "".join(event.text for event in events if event.kind in ("text", "error")) == done.message.text
    assert "".join(tiny.stream_complete("x", seed=3, **SHORT)) == tiny.complete("x", seed=3, **SHORT)


def test_two_streams_side_by_side_are_each_as_alone(tiny: Model) -> None:
    alone = [list(tiny.stream(text, seed=4, **SHORT)) for text in ("one", "another, longer")]
    first, second = (tiny.stream(text, seed=4, **SHORT) for text in ("one", "another, longer"))
    pairs = list(zip_longest(first, second))
    assert [[event for event in side if event] for side in zip(*pairs, strict=True)] == alone


@pytest.mark.slow
def test_threads_share_a_model(tiny: Model) -> None:
    def reply(seed: int) -> list[Event]:
        return list(tiny.stream(f"question {seed % 3}", seed=seed, **SHORT))

    alone = [reply(seed) for seed in range(8)]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(reply, range(8))) == alone


@pytest.mark.slow
@pytest.mark.skipif(not kernels.available(), reason="the native engine is not built")
def test_threads_share_a_model_on_the_native_engine() -> None:
    model = gemsmith.load("pebble", threads=2)

    def reply(seed: int) -> list[Event]:
        return list(model.stream(f"What is {seed} + {3 * seed}?", seed=seed, temperature=1.0, **SHORT))

    alone = [reply(seed) for seed in range(12)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(reply, [*range(12)] * 4)) == alone * 4


def test_nothing_is_left_behind(tiny: Model) -> None:
    runtime: Any = tiny.runtime
    tiny.logits([2, 3])
    tiny.chat("x", max_tokens=1)
    with pytest.raises(ContextLengthError):
        tiny.logits([2] * 3000)
    assert not runtime._caches


@pytest.mark.parametrize(
    "messages",
    [
        "hi",
        ["hi"],
        {"role": "user", "content": "hi"},
        [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        Message("user", (Text("hi"),)),
        (Message("user", (Text("hi"),)),),
    ],
)
def test_messages_of_every_form(tiny: Model, messages: Any) -> None:
    assert tiny.render(messages) == tiny.render("hi")
    assert tiny.chat(messages, seed=1, max_tokens=3) == tiny.chat("hi", seed=1, max_tokens=3)


def test_a_reply_goes_back_as_it_came(tiny: Model) -> None:
    reply = tiny.chat("hi", seed=1, max_tokens=3)
    later = tiny.render(["hi", reply, "go on"])
    assert reply.text.strip() in later.text and later.text.count("<bos>") == 1


def test_a_system_message_and_thinking(tiny: Model) -> None:
    system = {"role": "system", "content": "Be brief."}
    assert "<|think|>\nBe brief." in tiny.render([system, "hi"], think=True).text
    assert tiny.chat([system, "hi"], think=True, max_tokens=2).usage is not None


def test_an_empty_thought_is_written_by_sizes_without_per_layer_embeddings(tiny: Model) -> None:
    dense = gemsmith.load("tiny-random-31b", device="cpu")
    assert dense.render("hi").text == tiny.render("hi").text + "<|channel>thought\n<channel|>"
    assert dense.render("hi", think=True).text == tiny.render("hi", think=True).text


@pytest.mark.parametrize(
    "messages, error",
    [
        ([], MessageError),
        (5, MessageError),
        ([5], MessageError),
        ({"role": "wizard", "content": "x"}, MessageError),
        ("\ud800", MessageError),
    ],
)
def test_messages_that_are_none(tiny: Model, messages: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        tiny.stream(messages)


def test_logits_of_a_prompt_or_of_ids(tiny: Model) -> None:
    prompt = tiny.render("hello")
    logits = tiny.logits(prompt)
    assert logits.shape == (len(prompt.ids), 4096) and logits.dtype == np.float32
    for ids in (list(prompt.ids), np.array(prompt.ids), Prompt(prompt.ids)):
        assert np.array_equal(tiny.logits(ids), logits)


def test_long_logits_are_made_in_pieces(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = list(range(300, 325))
    whole = tiny.logits(ids)
    monkeypatch.setattr("gemsmith.engine.model.LOGITS_CHUNK", 4)
    np.testing.assert_allclose(tiny.logits(ids), whole, atol=2e-4, rtol=0)


@pytest.mark.parametrize(
    "ids, message",
    [
        ([], "found no ids at all"),
        ([0, 4096], "token ids from 0 to 4095, found 4096"),
        ([0, 10**5000], "token ids from 0 to 4095, found an int of 16610 bits"),
        ([-1], "found -1"),
        ([1.5], r"found \[1.5\]"),
        ("hello", "found 'hello'; make one with model.render"),
        (7, "found 7; make one"),
        ([[1, 2]], r"found \[\[1, 2\]\]"),
    ],
)
def test_what_logits_cannot_read(tiny: Model, ids: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        tiny.logits(ids)


@pytest.mark.parametrize("text", [None, 5, ["a"], b"a"])
def test_complete_continues_strings(tiny: Model, text: Any) -> None:
    with pytest.raises(RequestError, match="complete continues a string, found"):
        tiny.stream_complete(text)


def test_defaults_are_the_generation_configs() -> None:
    flat = np.zeros(4096, dtype=np.float32)
    flat[300:310] = 5.0  # ten tokens of equal right
    greedy = fake_model([flat] * 8, do_sample=False).chat("x", max_tokens=8, logprobs=True)
    narrow = fake_model([flat] * 8, top_k=2).chat("x", max_tokens=8, logprobs=True, seed=1)
    asked = fake_model([flat] * 8, do_sample=False).chat("x", max_tokens=8, logprobs=True, seed=1, temperature=1)
    ids = [{token.id for token in reply.logprobs or ()} for reply in (greedy, narrow, asked)]
    assert ids[0] == {300} and ids[1] == {300, 301} and len(ids[2]) > 2 and min(ids[2]) >= 300


def test_min_p_and_repetition_penalty_are_defaults_too() -> None:
    slope = np.zeros(4096, dtype=np.float32)
    slope[300:303] = 8.0, 7.9, 7.8
    sharp = fake_model([slope] * 8, min_p=1.0).chat("x", max_tokens=8, logprobs=True, seed=1)
    assert {token.id for token in sharp.logprobs or ()} == {300}
    fresh = fake_model([slope] * 3, do_sample=False, repetition_penalty=2.0).chat("x", max_tokens=3, logprobs=True)
    assert [token.id for token in fresh.logprobs or ()] == [300, 301, 302]


def test_suppressed_tokens_are_never_written() -> None:
    flat = np.zeros(4096, dtype=np.float32)
    flat[300:302] = 50.0
    reply = fake_model([flat] * 8, suppress_tokens=(300, 999_999)).chat("x", max_tokens=8, logprobs=True)
    assert {token.id for token in reply.logprobs or ()} == {301}


def test_what_cannot_fit_is_refused_before_it_is_made_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fake_model([], max_context=100)
    text = "x" * (100 * model.tokenizer.max_characters + 1)
    monkeypatch.setattr(model.tokenizer, "encode", lambda _: pytest.fail("it was made tokens"))
    for ask in (model.stream, model.stream_complete):
        with pytest.raises(ContextLengthError, match=r"prompt has at least 1[01][0-9] tokens but .* is 100;"):
            ask(text)


def test_a_prompt_of_the_longest_tokens_is_not_taken_for_too_long() -> None:
    tokenizer = fake_model([]).tokenizer
    ordinary = (id for id in range(tokenizer.vocab_size) if id not in tokenizer.control_ids)
    longest = tokenizer.decode([max(ordinary, key=lambda id: len(tokenizer.decode([id])))])
    text = longest * 50
    assert tokenizer.least_tokens(len(text)) <= len(tokenizer.encode(text))
    num_prompt = len(fake_model([]).render(text).ids)
    fake_model([], max_context=num_prompt).stream(text).close()
    with pytest.raises(ContextLengthError, match=f"has {num_prompt} tokens"):
        fake_model([], max_context=num_prompt - 1).stream(text)
    blanks = " " * 1_000_000  # which the template takes away
    fake_model([], max_context=num_prompt).stream(f"{blanks}{text}{blanks}").close()
