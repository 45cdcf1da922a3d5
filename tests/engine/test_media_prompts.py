"""Prompts with media, token for token those of transformers' processors on the same messages.

Texts come from the canonical template (where it is present; else the kept ones), expansions from transformers' own
code, ids from the `tokenizers` library. What the media show is of no matter here, only how much there is of it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import pytest

from gemsmith.chat.render import Style, compose
from gemsmith.chat.values import Audio, Document, Image, Media
from gemsmith.config import preset
from gemsmith.engine.senses.filling import filled
from gemsmith.hub.names import DEFAULT_TOKENIZER
from gemsmith.media.prepared import Frames, Pixels, Prepared, Waveform
from gemsmith.tokenizer import Tokenizer, load_tokenizer
from tests.chat import golden
from tests.chat.conversations import conversation
from tests.chat.oracle import TEMPLATE, VOCABULARY, data_file, expected_text
from tests.engine.media_oracle import expanded

pytest.importorskip("transformers")
pytestmark = pytest.mark.slow

MEDIA_TYPES = ("image", "image_url", "audio", "input_audio", "video")
Items = tuple[Prepared, ...]


def pixels(rng: random.Random) -> Pixels:
    shape = (48 * rng.randint(1, 6), 48 * rng.randint(1, 6), 3)
    return Pixels(np.broadcast_to(np.uint8(0), shape), (640, 480))


def frames(rng: random.Random) -> Frames:
    count = rng.randint(1, 4)
    seconds = tuple(sorted(rng.randint(0, 20_000) / 4 for _ in range(count)))
    return Frames(np.broadcast_to(np.uint8(0), (count, 48 * rng.randint(1, 3), 96, 3)), seconds, (640, 480))


def waveform(rng: random.Random) -> Waveform:
    return Waveform(np.zeros(rng.choice((800, 16_000, 12_345, 48_161)), np.float32))


def made_of(part: Media, rng: random.Random) -> Items:
    """What a part might have become, alone or as several: pages, a clip with its sound, a sound in cuts."""
    if isinstance(part, Image):
        return (pixels(rng),)
    if isinstance(part, Document):
        return tuple(pixels(rng) for _ in range(rng.randint(1, 3)))
    if isinstance(part, Audio):
        return tuple(waveform(rng) for _ in range(rng.randint(1, 2) if part.longer == "cut" else 1))
    return (frames(rng), *((waveform(rng),) if part.sound else ()))


def check(
    case: dict[str, Any],
    text: Callable[[Sequence[Items]], str],
    library: Any,
    tokenizer: Tokenizer,
    *,
    is_large: bool,
    seed: int,
) -> int:
    """Compares one conversation; how many media it has. `text` is the template's, given what its media became."""
    rng = random.Random(seed)
    config = preset("tiny-random-12b" if is_large else "tiny-random-e2b")
    style = Style(case["think"], case["preserve_thinking"], is_large)
    pieces = compose(case["messages"], case["tools"], style, add_generation_prompt=case["add_generation_prompt"])
    items = [made_of(part, rng) for part in pieces.media]
    prompt = filled(pieces, items, config).prompt(tokenizer)
    theirs = expanded(text(items), [each for some in items for each in some], is_unified=is_large)
    assert prompt.text == theirs, f"seed {seed}"
    assert list(prompt.ids) == library.encode(theirs, add_special_tokens=False).ids, f"seed {seed}"
    return len(items)


@pytest.fixture(scope="module")
def small() -> tuple[Tokenizer, Any]:
    """pebble's vocabulary, for us and for the library."""
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = load_tokenizer(DEFAULT_TOKENIZER)
    return tokenizer, tokenizers.Tokenizer.from_str(json.dumps(tokenizer.to_tokenizer_json()))


@pytest.fixture(scope="module")
def real() -> tuple[Tokenizer, Any]:
    """The real vocabulary, for us and for the library."""
    tokenizers = pytest.importorskip("tokenizers")
    path = data_file(VOCABULARY)
    if path is None:
        pytest.skip(f"{VOCABULARY} is neither in ../shared/data nor in the folder GEMSMITH_TEST_DATA names")
    tokenizer = Tokenizer.from_gguf(path)
    return tokenizer, tokenizers.Tokenizer.from_str(json.dumps(tokenizer.to_tokenizer_json()))


def test_kept_conversations(small: tuple[Tokenizer, Any]) -> None:
    """Every media part became one picture, clip or sound, as the kept texts have one placeholder for each."""
    num_media = num_conversations = 0
    tokenizer, library = small
    for seed, entry in enumerate(golden.read()["cases"]):
        case = _silent(entry["case"])
        for is_large, text in ((False, entry["small"]), (True, entry.get("large", entry["small"]))):
            found = check(case, lambda _, text=text: text, library, tokenizer, is_large=is_large, seed=seed)
            num_media, num_conversations = num_media + found, num_conversations + bool(found)
    assert num_conversations > 30 and num_media > 100


@pytest.mark.parametrize(("vocabulary", "count"), [("small", 250), pytest.param("real", 500, marks=pytest.mark.long)])
def test_generated_conversations(vocabulary: str, count: int, request: pytest.FixtureRequest) -> None:
    """Also documents, clips with sound and sounds in cuts: to the template, parts that follow one another."""
    if data_file(TEMPLATE) is None:
        pytest.skip(f"{TEMPLATE} is neither in ../shared/data nor in the folder GEMSMITH_TEST_DATA names")
    pytest.importorskip("jinja2")
    tokenizer, library = request.getfixturevalue(vocabulary)
    num_conversations = 0
    for seed in range(20_000, 20_000 + count):
        case, is_large = _varied(conversation(seed), random.Random(seed)), seed % 2 == 0

        def text(items: Sequence[Items], case: dict[str, Any] = case, is_large: bool = is_large) -> str:
            return expected_text(_unrolled(case, items), empty_thought=is_large)

        num_conversations += bool(check(case, text, library, tokenizer, is_large=is_large, seed=seed))
    assert num_conversations >= 100


def _parts(case: dict[str, Any]) -> list[list[Any]]:
    """The contents of a case that are lists of parts, in the order of the prompt."""
    return [each["content"] for each in case["messages"] if isinstance(each.get("content"), list)]


def _silent(case: dict[str, Any]) -> dict[str, Any]:
    """The case, with clips whose sound nobody asks for."""
    case = deepcopy(case)
    for content in _parts(case):
        for part in content:
            if part["type"] == "video":
                part["sound"] = False
    return case


def _varied(case: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Some pictures become documents, some sounds are to be cut, some clips are silent."""
    case = deepcopy(case)
    for content in _parts(case):
        for number, part in enumerate(content):
            if part["type"] in ("image", "image_url") and rng.random() < 0.3:
                content[number] = {"type": "document", "path": "a.pdf"}
            elif part["type"] in ("audio", "input_audio") and rng.random() < 0.5:
                part["longer"] = "cut"
            elif part["type"] == "video":
                part["sound"] = rng.random() < 0.5
    return case


def _unrolled(case: dict[str, Any], items: Sequence[Items]) -> dict[str, Any]:
    """The case as transformers wants it: a part for each page, for each cut, and for a clip's sound behind the clip."""
    case, rest = deepcopy(case), iter(items)
    kinds: dict[type, str] = {Pixels: "image", Frames: "video", Waveform: "audio"}
    for content in _parts(case):
        content[:] = [
            each
            for part in content
            for each in (
                [{"type": kinds[type(item)]} for item in next(rest)]
                if part["type"] in (*MEDIA_TYPES, "document")
                else [part]
            )
        ]
    return case
