"""Questions about gemsmith in many phrasings: see `questions.toml` for what is asked and answered."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping
from functools import cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

from gemsmith.data.example import Example, reply, user
from gemsmith.data.split import Split, is_heldout
from gemsmith.data.words import words_of

HELDOUT_SHARE = 0.15

QUESTION_WORDS = frozenset(words_of(
    "am are can did do does has have how is may must should was were what what's when where which who why will"
))  # fmt: skip
OPENINGS = ("please, ", "hey, ", "so, ", "ok, ", "hi, ", "pebble, ", "now, ", "and ", "one question: ", "a question: ")


class Topic(NamedTuple):
    """One answer, and the patterns of the questions that it answers."""

    answer: str
    patterns: tuple[str, ...]


def read_topics(path: Path) -> Mapping[str, Topic]:
    """Topics by name, in the file's order, with shared groups filled in."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    groups = tables.pop("groups")
    return {
        name: Topic(table["answer"], tuple(pattern.format(**groups) for pattern in table["ask"]))
        for name, table in tables.items()
    }


TOPICS = read_topics(Path(__file__).with_name("questions.toml"))


def about(rng: random.Random, split: Split, difficulty: float) -> Example:
    """A question about gemsmith. The phrasing decides the split, not its casing and punctuation."""
    topic = rng.choice(tuple(TOPICS))
    phrasing = rng.choice(phrasings(topic, split))
    return Example("about", (user(written(rng, phrasing)), reply(TOPICS[topic].answer)))


@cache
def phrasings(topic: str, split: Split) -> tuple[str, ...]:
    """Every way to ask about a topic that belongs to `split`, without capitals and punctuation of its own."""
    first, *others = _all_phrasings(topic)
    wanted = split == "heldout"
    chosen = [words for words in others if is_heldout(words.lower(), HELDOUT_SHARE) is wanted]
    return tuple(chosen if wanted else [first, *chosen])


def written(rng: random.Random, words: str) -> str:
    """The words as a person might type them: with an opening or without, capitals or none, a mark or none."""
    mark = "?" if words.split(" ", 1)[0].lower() in QUESTION_WORDS else "."
    text = (rng.choice(OPENINGS) if rng.random() < 0.15 else "") + words
    style = rng.random()
    text = text[0].upper() + text[1:] if style < 0.65 else text.lower() if style < 0.85 else text
    return text + rng.choices((mark, "", "!", " " + mark), (70, 24, 3, 3))[0]


def _all_phrasings(topic: str) -> tuple[str, ...]:
    """The topic's patterns with their groups expanded, each phrase once."""
    found: dict[str, None] = {}
    for pattern in TOPICS[topic].patterns:
        choices = [part.split("|") for part in pattern.replace(")", "(").split("(")]
        found.update((" ".join("".join(parts).split()), None) for parts in product(*choices))
    return tuple(found)
