"""Saying a sequence of letters, words or numbers again, item for item."""

from __future__ import annotations

import random

from gemsmith.data.example import Example, reply, user
from gemsmith.data.split import Split, draw
from gemsmith.data.words import COLOURS, LETTERS, SYLLABLES, THINGS

FORMS = (
    "Repeat: {}",
    "Repeat: {}",
    "Repeat after me: {}",
    "Repeat this: {}",
    "repeat {}",
    "Copy: {}",
    "Copy this: {}",
    "Copy this:\n{}",
    "Repeat this:\n{}",
    "Repeat the following:\n{}",
    "Please repeat: {}",
    "Say this again: {}",
    "Say: {}",
    "Echo: {}",
    "Write this again: {}",
    "{}\nRepeat that.",
    "{}\nCopy the line above.",
)

SEPARATORS = (" ", " ", " ", ", ", ", ", "\n")


def copy(rng: random.Random, split: Split, difficulty: float) -> Example:
    """A sequence to say again; `difficulty` raises its length from 3 to 3-12 items."""
    limit = 3 + round(9 * difficulty)
    items = draw(lambda r: make_items(r, r.randint(3, limit)), " ".join, rng, split)
    sequence = rng.choice(SEPARATORS).join(items)
    return Example("copy", (user(rng.choice(FORMS).format(sequence)), reply(sequence)))


def make_items(rng: random.Random, count: int) -> list[str]:
    """Letters, words, numbers or made-up words; one kind a sequence, items may come twice."""
    kind = rng.random()
    if kind < 0.3:
        return rng.choices(LETTERS, k=count)
    if kind < 0.6:
        return rng.choices(THINGS + COLOURS, k=count)
    if kind < 0.9:
        limit = 10 ** rng.randint(1, 3)
        return [str(int(rng.random() * limit)) for _ in range(count)]
    return [made_up_word(rng) for _ in range(min(count, 8))]


def made_up_word(rng: random.Random) -> str:
    """A word that means nothing, such as `takimo`, so that copying is learnt rather than a list of words."""
    return "".join(rng.choices(SYLLABLES, k=rng.randint(2, 3)))
