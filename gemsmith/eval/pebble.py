"""Scores on pebble's curriculum: held-out questions, answered greedily, compared exactly.

Held out means: no training example, whatever its seed, has the same content; see `data.split`. Every question is asked
as a fresh conversation at full difficulty. Works for any model that chats; pebble is the one that was taught this.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from gemsmith.chat.values import Message, Text
from gemsmith.data.curriculum import ABILITIES, example
from gemsmith.data.example import Example
from gemsmith.errors import RequestError
from gemsmith.eval.check import is_correct, shown
from gemsmith.eval.progress import progress
from gemsmith.eval.table import Failure, Row

Chat = Callable[..., Message]

MAX_TOKENS = 160  # the longest wanted reply, a thought included, has about 100
MAX_FAILURES = 5
MAX_DRAWS = 1000  # for one more question that was not yet asked


def score(
    chat: Chat,
    abilities: Sequence[str] = ABILITIES,
    n: int = 500,
    seed: int = 0,
    *,
    max_failures: int = MAX_FAILURES,
    show_progress: bool = True,
) -> list[Row]:
    """One row an ability, from `n` different held-out questions each.

    `chat(messages, tools=, think=, temperature=0, max_tokens=)` answers like `gemsmith.Model.chat`.
    """
    unknown = [name for name in abilities if name not in ABILITIES]
    if unknown:
        raise RequestError(f"no ability is called {', '.join(map(repr, unknown))}; choose from {', '.join(ABILITIES)}")
    return [score_ability(chat, name, n, seed, max_failures, show_progress) for name in abilities]


def score_ability(chat: Chat, ability: str, n: int, seed: int, max_failures: int, show_progress: bool) -> Row:
    """The score of one ability."""
    questions = islice(heldout(ability, seed), n)
    correct = 0
    failures: list[Failure] = []
    for question in progress(questions, n, ability) if show_progress else questions:
        reply = ask(chat, question)
        if is_correct(reply, question.messages[-1]):
            correct += 1
        elif len(failures) < max_failures:
            failures.append(failure(question, reply))
    return Row(ability, n, correct, tuple(failures))


def heldout(ability: str, seed: int) -> Iterator[Example]:
    """Held-out examples, no question twice."""
    rng = random.Random(f"{ability} {seed}")
    asked: set[str] = set()
    draws = 0
    while draws < MAX_DRAWS:
        question = example(ability, rng, split="heldout")
        key = repr((question.messages, question.tools))
        draws += 1
        if key not in asked:
            asked.add(key)
            draws = 0
            yield question
    raise RequestError(f"{ability} has only {len(asked)} held-out questions; ask for fewer")


def ask(chat: Chat, question: Example) -> Message:
    """The model's own reply in place of the last message."""
    return chat(
        list(question.messages[:-1]),
        tools=list(question.tools),
        think=question.think,
        temperature=0,
        max_tokens=MAX_TOKENS,
    )


def failure(question: Example, reply: Message) -> Failure:
    """The last thing said to the model, what it should have replied and what it did."""
    said = "".join(p.text for m in question.messages if m.role == "user" for p in m.parts if isinstance(p, Text))
    return Failure(said.replace("\n", " / "), shown(question.messages[-1]), shown(reply))
