"""What a tool is made of in the examples: its parameters, where their values come from, its requests and answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gemsmith.data.copying import made_up_word
from gemsmith.data.words import CITIES, COLOURS, NAMES, THINGS

Make = Callable[[random.Random], Any]


@dataclass(frozen=True, eq=False)
class Slot:
    """One parameter: its spellings, JSON type, and where values come from; `said` is how a value sounds in words."""

    names: tuple[str, ...]
    type: str
    make: Make
    about: str
    enum: tuple[str, ...] = ()
    said: Mapping[Any, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Tool:
    """One tool. Requests and answers name slots and result fields in braces; `answers` depends on a true or false."""

    names: tuple[str, ...]
    about: str
    slots: Mapping[str, Slot]
    required: tuple[str, ...]
    requests: tuple[str, ...]
    result: Mapping[str, Make]
    answers: Mapping[Any, str]


def integer(low: int, high: int) -> Make:
    """A whole number from `low` to `high`."""
    return lambda rng: low + int(rng.random() * (high - low + 1))


def decimal(low: int, high: int) -> Make:
    """A number with one decimal that is not zero, or (half the time) a whole one."""
    return lambda rng: integer(low, high)(rng) + (rng.randint(1, 9) / 10 if rng.random() < 0.5 else 0)


def one_of(*values: Any) -> Make:
    """One of the values."""
    return lambda rng: rng.choice(values)


def clock(rng: random.Random) -> str:
    """A time of day."""
    return f"{rng.randrange(24)}:{rng.randrange(60):02}"


def phrase(rng: random.Random) -> str:
    """Two to four words, such as `three red boats`."""
    words = [rng.choice(COLOURS), rng.choice(THINGS)]
    if rng.random() < 0.4:
        words.insert(0, rng.choice(("two", "three", "four", "the", "a", "my", "our")))
    return " ".join(words + rng.sample(("again", "today", "now", "please", "here"), rng.random() < 0.3))


def sentence(rng: random.Random) -> str:
    """A short thing to say, such as `the red boat is late`."""
    form = rng.choice(SENTENCES)
    return form.format(
        thing=rng.choice(THINGS), colour=rng.choice(COLOURS), name=rng.choice(NAMES), n=rng.randint(2, 30)
    )


def errand(rng: random.Random) -> str:
    """Something to do, such as `mend the boat`."""
    return f"{rng.choice(('buy', 'find', 'clean', 'sell', 'bring', 'mend'))} the {rng.choice(THINGS)}"


def restaurant(rng: random.Random) -> str:
    """A name, such as `the red boat`."""
    return f"the {rng.choice(COLOURS)} {rng.choice(THINGS)}"


def product_of_two(rng: random.Random) -> str:
    """A multiplication or division, which pebble cannot do in its head."""
    return f"{rng.randrange(1000)} {rng.choice('*/')} {rng.randrange(1, 100)}"


def foreign(rng: random.Random) -> str:
    """Two words of no language."""
    return f"{made_up_word(rng)} {made_up_word(rng)}"


SENTENCES = (
    "the {thing} is {colour}",
    "the {colour} {thing} is here",
    "I am late",
    "I will be late",
    "I have the {thing}",
    "{name} has the {thing}",
    "{name} is here",
    "we need {n} minutes",
    "I will be there in {n} minutes",
    "please bring the {thing}",
    "buy the {colour} {thing}",
)

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LANGUAGES = ("French", "German", "Spanish", "Italian", "Polish", "Dutch")
MONEY = ("euros", "dollars", "pounds", "francs", "yen")
ROOMS = ("kitchen", "bedroom", "bathroom", "hall", "office", "garage", "garden")
YES_NO = one_of(True, False)


def text(names: tuple[str, ...], make: Make, about: str) -> Slot:
    return Slot(names, "string", make, about)


def whole(names: tuple[str, ...], low: int, high: int, about: str) -> Slot:
    return Slot(names, "integer", integer(low, high), about)


def amount(names: tuple[str, ...], low: int, high: int, about: str) -> Slot:
    return Slot(names, "number", decimal(low, high), about)


def switch(names: tuple[str, ...], yes: str, no: str, about: str) -> Slot:
    return Slot(names, "boolean", YES_NO, about, said={True: yes, False: no})


def enum(names: tuple[str, ...], values: tuple[str, ...], about: str) -> Slot:
    return Slot(names, "string", one_of(*values), about, enum=values)


def city() -> Slot:
    return text(("city", "location", "place"), one_of(*CITIES), "Name of the city")


def person(about: str) -> Slot:
    return text(("name", "person", "to"), one_of(*NAMES), about)


def item() -> Slot:
    return text(("item", "product", "thing"), one_of(*THINGS), "Name of the item")


def room() -> Slot:
    return text(("room", "where"), one_of(*ROOMS), "Name of the room")
