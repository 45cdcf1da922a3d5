"""pebble's vocabulary on the curriculum: Gemma's ids, digits alone, words whole, examples within a training row."""

import json
import random
from pathlib import Path

import pytest

from gemsmith.chat.training import render_training
from gemsmith.config import preset
from gemsmith.data import words
from gemsmith.data.curriculum import ABILITIES, MAKERS, example
from gemsmith.eval import pebble
from gemsmith.tokenizer import load_tokenizer

FILE = Path(__file__).parents[2] / "gemsmith/hub/pebble/tokenizer.json"
MAX_TOKENS = 512

GEMMA_IDS = {
    "<pad>": 0, "<eos>": 1, "<bos>": 2, "<unk>": 3, "<mask>": 4, "<|tool>": 46, "<tool|>": 47, "<|tool_call>": 48,
    "<tool_call|>": 49, "<|tool_response>": 50, "<tool_response|>": 51, '<|"|>': 52, "<|think|>": 98,
    "<|channel>": 100, "<channel|>": 101, "<|turn>": 105, "<turn|>": 106, "\n": 107,
}  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(FILE)


@pytest.fixture(scope="module")
def vocabulary() -> dict[str, int]:
    return json.loads(FILE.read_text(encoding="utf-8"))["model"]["vocab"]


def test_control_tokens_have_gemmas_ids_and_media_those_of_the_config(vocabulary) -> None:
    config = preset("pebble")
    media = {
        "<|image>": config.boi_token_id,
        "<|image|>": config.image_token_id,
        "<image|>": config.eoi_token_id,
        "<|audio>": config.boa_token_id,
        "<|audio|>": config.audio_token_id,
        "<audio|>": config.eoa_token_id,
        "<|video|>": config.video_token_id,
    }
    assert GEMMA_IDS.items() | media.items() <= vocabulary.items()
    assert sorted(vocabulary.values()) == list(range(config.text.vocab_size))
    assert not [text for text in vocabulary if "unused" in text], "no row is wasted"


def test_control_tokens_never_come_from_text(tokenizer, vocabulary) -> None:
    control = {
        id for text, id in vocabulary.items() if text.startswith("<") and text.endswith(">") and "0x" not in text
    }
    for text, id in vocabulary.items():
        if id in control:
            assert not control & set(tokenizer.encode(f"a{text}b"))


def test_a_number_is_its_digits_wherever_it_stands(tokenizer, vocabulary) -> None:
    digits = [vocabulary[digit] for digit in "407"]
    for text in ("407", " 407", "+407", "x=407,", "\n407\n", "(407)", "-407."):
        ids = tokenizer.encode(text)
        assert [id for id in ids if id in digits] == digits
    assert not [text for text in vocabulary if len(text) > 1 and any(c.isdigit() for c in text) and "<0x" not in text]


@pytest.mark.parametrize("pool", ["THINGS", "COLOURS", "NAMES", "CITIES", "LETTERS"])
def test_words_of_lists_are_one_token(tokenizer, pool: str) -> None:
    split = [
        word for word in getattr(words, pool) if any(len(tokenizer.encode(form)) != 1 for form in (word, f" {word}"))
    ]
    assert not split


def test_any_text_comes_back(tokenizer) -> None:
    for text in ("The quick brown fox.", "naïve 日本 🙂", "def f(x):\n    return x**2\n", "  two  spaces ", "\n\n\n\t"):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_ids_equal_the_tokenizers_library(tokenizer) -> None:
    oracle = pytest.importorskip("tokenizers").Tokenizer.from_file(str(FILE))
    rng = random.Random(0)
    for ability in MAKERS:
        for _ in range(40):
            for message in example(ability, rng, split="train").messages:
                assert tokenizer.encode(message.text) == oracle.encode(message.text).ids


@pytest.mark.parametrize("ability", [*MAKERS, "chat"])
def test_examples_are_short_and_have_something_to_learn(tokenizer, ability: str) -> None:
    rng = random.Random(ability)
    for _ in range(150):
        made = example(ability, rng, split="train")
        ids, mask = render_training(made.messages, tokenizer=tokenizer, tools=made.tools, think=made.think)
        assert len(ids) == len(mask) <= MAX_TOKENS and any(mask)


def test_lists_to_look_up_outgrow_the_window(tokenizer) -> None:
    rng, window = random.Random(0), preset("pebble").text.sliding_window
    for _ in range(300):
        assert len(tokenizer.encode(example("lookup", rng, split="heldout").messages[0].text)) > window


def test_the_longest_wanted_reply_fits_the_evaluation(tokenizer) -> None:
    rng = random.Random(0)
    for ability in ABILITIES:
        for _ in range(100):
            made = example(ability, rng, split="heldout")
            last = len(made.messages) - 1
            ids, _ = render_training(made.messages, tokenizer=tokenizer, tools=made.tools, think=made.think)
            before, _ = render_training(made.messages[:last], tokenizer=tokenizer, tools=made.tools, think=made.think)
            assert len(ids) - len(before) < pebble.MAX_TOKENS
