"""Putting numbers in order, up or down, and letters or words in the order of the alphabet."""

from __future__ import annotations

import random

from gemsmith.data.example import Example, reply, user
from gemsmith.data.split import Split, draw
from gemsmith.data.words import LETTERS, THINGS

UP = (
    "Sort: {}",
    "Sort these numbers: {}",
    "Sort these numbers:\n{}",
    "Sort {}",
    "Sort ascending: {}",
    "Sort in ascending order: {}",
    "Put these numbers in order: {}",
    "Sort from smallest to largest: {}",
    "Sort these numbers, smallest first: {}",
    "Order these from low to high: {}",
    "Please sort {}",
    "sort {} in ascending order",
)

DOWN = (
    "Sort descending: {}",
    "Sort in descending order: {}",
    "Sort these numbers, largest first: {}",
    "Sort from largest to smallest: {}",
    "Order these from high to low: {}",
    "Put these numbers in descending order: {}",
    "sort {} in descending order",
)

ALPHABET = (
    "Sort: {}",
    "Sort alphabetically: {}",
    "Sort these {kind}: {}",
    "Put these {kind} in alphabetical order: {}",
    "Sort in alphabetical order: {}",
    "Sort these {kind} from a to z: {}",
)

SEPARATORS = (" ", ", ")


def sort(rng: random.Random, split: Split, difficulty: float) -> Example:
    """A list to put in order; `difficulty` raises it from 3 to 3-6 items and numbers from 10 to 1,000.

    A difficulty above 1 gives more items: 8 at 5/3.
    """
    count = rng.randint(3, 3 + round(3 * difficulty))
    kind = rng.random()
    if kind < 0.76:
        return _numbers(rng, split, count, round(10 ** (1 + 2 * min(1.0, difficulty))), descending=kind < 0.28)
    return _alphabet(rng, split, count, "letters" if kind < 0.9 else "words")


def _numbers(rng: random.Random, split: Split, count: int, limit: int, *, descending: bool) -> Example:
    values = draw(lambda r: _distinct_numbers(r, count, limit), _set_key, rng, split)
    question = rng.choice(DOWN if descending else UP)
    return _example(rng, question, list(map(str, values)), list(map(str, sorted(values, reverse=descending))))


def _alphabet(rng: random.Random, split: Split, count: int, kind: str) -> Example:
    pool = LETTERS if kind == "letters" else THINGS
    values = draw(lambda r: r.sample(pool, count), _set_key, rng, split)
    return _example(rng, rng.choice(ALPHABET).replace("{kind}", kind), values, sorted(values))


def _example(rng: random.Random, question: str, items: list[str], ordered: list[str]) -> Example:
    separator = rng.choice(SEPARATORS)
    return Example("sort", (user(question.format(separator.join(items))), reply(separator.join(ordered))))


def _distinct_numbers(rng: random.Random, count: int, limit: int) -> list[int]:
    if rng.random() < 0.25:
        limit = min(limit, 100)
    return rng.sample(range(limit), count)


def _set_key(values: list) -> str:
    """The same items in another order are the same content."""
    return "sort " + " ".join(map(str, sorted(values)))
