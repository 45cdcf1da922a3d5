"""Finding the value of a key in a list that is longer than the sliding window.

Only the full-attention layers can see a far pair, so this ability shows that they work. Training examples ask several
questions about one list: the list is the costly part, an answer more costs few tokens. Held-out examples ask one.

Held-out questions follow the list. Training also asks before it, near and far: two steps, back to the question and
from it to the pair. One run in four has learnt that; `dev/LOG.md` tells of them.
"""

from __future__ import annotations

import random

from gemsmith.chat.values import Message
from gemsmith.data.example import Example, reply, user
from gemsmith.data.split import Split, draw
from gemsmith.data.words import COLOURS, THINGS

LAYOUTS = (  # how a pair is written, and what stands between pairs
    ("{} {}", ", "),
    ("{}: {}", ", "),
    ("{} = {}", ", "),
    ("- {}: {}", "\n"),
    ("{}: {}", "\n"),
    ("{} {}", "\n"),
)

AFTER = (
    "{list}\nWhat is {key}?",
    "{list}\nWhat is the value of {key}?",
    "Here is a list:\n{list}\nWhat is {key}?",
    "Here is a list: {list}\nWhat is the value of {key}?",
    "Read this list:\n{list}\nWhich value has {key}?",
    "{list}\nFind {key}.",
    "{list}\nLook up {key}.",
    "List: {list}. What is {key}?",
)

BEFORE = (
    "What is {key} in this list?\n{list}",
    "Find {key}:\n{list}",
    "Look up {key} in this list:\n{list}",
)

AGAIN = ("And {key}?", "What is {key}?", "And what is {key}?", "Now {key}.", "What is the value of {key}?")

MOST_PAIRS = 28
Pairs = dict[str, str]


def lookup(rng: random.Random, split: Split, difficulty: float) -> Example:
    """A list and a question about it; `difficulty` raises it from 2-4 to 16-28 pairs, of words half as many again."""
    most = 4 + round((MOST_PAIRS - 4) * difficulty)
    pairs = draw(lambda r: make_pairs(r, r.randint(most * 4 // 7, most)), _key, rng, split)
    num_questions = rng.randint(1, min(6, len(pairs))) if split == "train" else 1
    keys = rng.sample(list(pairs), num_questions)
    layout, separator = rng.choice(LAYOUTS)
    listed = separator.join(layout.format(key, value) for key, value in pairs.items())
    if split == "train" and rng.random() < 0.5:
        idle = _idle_words(rng, pairs)
        first = rng.choice(BEFORE).format(list=idle + listed, key=keys[0])
    else:
        first = rng.choice(AFTER).format(list=listed, key=keys[0])
    return Example("lookup", _turns(rng, pairs, first, keys))


def make_pairs(rng: random.Random, count: int) -> Pairs:
    """Distinct words, each with a number of up to three digits or (one list in five) a colour or thing."""
    if rng.random() < 0.2:  # words are short: more of them, so that these lists outgrow the window too
        keys = rng.sample(THINGS, count * 3 // 2)
        return dict(zip(keys, rng.choices(COLOURS + THINGS, k=len(keys)), strict=True))
    limit = 10 ** rng.randint(1, 3)
    return {key: str(int(rng.random() * limit)) for key in rng.sample(THINGS, count)}


def _idle_words(rng: random.Random, pairs: Pairs) -> str:
    """A line of words that are no keys: the more, the shorter the list, so that it ends as far away as a long one."""
    count = rng.randint(0, max(0, 2 * (MOST_PAIRS - len(pairs))))
    return ", ".join(rng.sample([word for word in THINGS if word not in pairs], count)) + "\n" if count else ""


def _turns(rng: random.Random, pairs: Pairs, first: str, keys: list[str]) -> tuple[Message, ...]:
    turns = [user(first), reply(pairs[keys[0]])]
    for key in keys[1:]:
        turns += [user(rng.choice(AGAIN).format(key=key)), reply(pairs[key])]
    return tuple(turns)


def _key(pairs: Pairs) -> str:
    return "lookup " + " ".join(f"{key} {value}" for key, value in pairs.items())
