"""The curriculum: examples of every ability, made from a seed, from easy to hard.

The content of an example (its numbers, its list, its phrasing) decides whether it is for training or held out; see
`split`. Nothing is stored: the same seed gives the same examples on every machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from gemsmith.data.about import about
from gemsmith.data.arithmetic import add, subtract
from gemsmith.data.conversation import THOUGHTS, conversation, long_conversation, with_system_prompt, with_thought
from gemsmith.data.copying import copy
from gemsmith.data.example import Example
from gemsmith.data.lookup import lookup
from gemsmith.data.sorting import sort
from gemsmith.data.split import Split
from gemsmith.data.tools import tool_answer, tool_call
from gemsmith.data.unknown import unknown

MAKERS: Mapping[str, Callable[[random.Random, Split, float], Example]] = {
    "add": add,
    "subtract": subtract,
    "add_thought": partial(add, think=True),
    "subtract_thought": partial(subtract, think=True),
    "copy": copy,
    "sort": sort,
    "lookup": lookup,
    "tool_call": tool_call,
    "tool_answer": tool_answer,
    "about": about,
    "unknown": unknown,
}

ABILITIES = tuple(name for name in MAKERS if name != "unknown")  # as `gemsmith eval` scores them

WEIGHTS: Mapping[str, float] = {
    "add": 26,
    "subtract": 28,
    "add_thought": 3,
    "subtract_thought": 3,
    "copy": 6,
    "sort": 8,
    "lookup": 9,
    "tool_call": 7,
    "tool_answer": 5,
    "about": 8,
    "unknown": 2,
    "chat": 3,
}
"""Examples of each ability in a hundred, unless training says otherwise. `chat` mixes the others; so does `long_chat`,
which is longer than a row of early training and so has no share here."""

EASIER = 0.2  # of training examples are easier than asked, so that what is learnt stays learnt
SYSTEM_PROMPT, THINK = 0.08, 0.06


def example(ability: str, rng: random.Random, *, split: Split, difficulty: float = 1.0) -> Example:
    """One example. Held-out ones are plain and exactly as hard as asked; training ones vary (see `EASIER`)."""
    if split == "heldout":
        return _make(ability, rng, split, difficulty)
    if rng.random() < EASIER:
        difficulty *= rng.random()
    made = _make(ability, rng, split, difficulty)
    if made.ability in THOUGHTS and rng.random() < THINK and sum(m.role == "user" for m in made.messages) == 1:
        made = with_thought(made)
    return with_system_prompt(rng, made) if rng.random() < SYSTEM_PROMPT else made


def stream(
    seed: int,
    *,
    split: Split = "train",
    weights: Mapping[str, float] | None = None,
    difficulty: float | Callable[[str], float] = 1.0,
) -> Iterator[Example]:
    """Endless examples of all abilities. `difficulty` may be asked anew for each example, by ability."""
    rng = random.Random(seed)
    names, shares = zip(*(weights or WEIGHTS).items(), strict=True)
    while True:
        ability = rng.choices(names, shares)[0]
        yield example(ability, rng, split=split, difficulty=difficulty(ability) if callable(difficulty) else difficulty)


def _make(ability: str, rng: random.Random, split: Split, difficulty: float) -> Example:
    if ability in MAKERS:
        return MAKERS[ability](rng, split, difficulty)
    names = tuple(name for name in MAKERS if not name.endswith("_thought"))
    make = partial(_make, rng=rng, split=split, difficulty=difficulty)
    if ability == "chat":
        return conversation(rng, split, difficulty, make, names)
    assert ability == "long_chat", ability
    return long_conversation(rng, make, names)
