"""Sums and differences of up to three digits, asked in many ways, with and without a thought.

The thought restates the problem, then works column by column, ones first, with carries and borrows written out: one
small step a token, which is what makes arithmetic learnable for a very small model. (After Lee et al., "Teaching
Arithmetic to Small Transformers", arXiv 2307.03381; the restating first line separates reading from computing.)

    17+25                                   3-18 = -(18-3)
    ones: 7+5=12, write 2 carry 1           ones: 8-3=5
    tens: 1+2+1=4, write 4                  tens: 1-0=1
"""

from __future__ import annotations

import random
from itertools import chain, repeat

from gemsmith.data.example import Example, reply, user
from gemsmith.data.split import Split, is_heldout

COLUMNS = ("ones", "tens", "hundreds")


def _weighted(forms: dict[str, int]) -> tuple[str, ...]:
    return tuple(chain.from_iterable(repeat(form, weight) for form, weight in forms.items()))


ADD_FORMS = _weighted({
    "What is {a} + {b}?": 14,
    "{a}+{b}": 6,
    "{a} + {b}": 4,
    "{a} + {b} =": 3,
    "{a}+{b}=": 2,
    "{a} + {b} = ?": 1,
    "{a}+{b}?": 1,
    "{a} plus {b}": 1,
    "What is {a}+{b}?": 3,
    "what is {a} + {b}": 2,
    "what is {a}+{b}": 1,
    "What is {a} plus {b}?": 3,
    "what is {a} plus {b}?": 1,
    "What's {a} + {b}?": 2,
    "What's {a} plus {b}?": 1,
    "what's {a} + {b}?": 1,
    "Compute {a} plus {b}.": 1,
    "Compute {a} + {b}.": 1,
    "Calculate {a} + {b}.": 1,
    "How much is {a} + {b}?": 2,
    "How much is {a} plus {b}?": 1,
    "how much is {a} + {b}": 1,
    "Add {a} and {b}.": 1,
    "add {a} and {b}": 1,
    "Please add {a} and {b}.": 1,
    "Add {a} to {b}.": 1,
    "What is the sum of {a} and {b}?": 1,
    "Sum of {a} and {b}?": 1,
})  # fmt: skip

SUBTRACT_FORMS = _weighted({
    "What is {a} - {b}?": 14,
    "{a}-{b}": 6,
    "{a} - {b}": 4,
    "{a} - {b} =": 3,
    "{a}-{b}=": 2,
    "{a} - {b} = ?": 1,
    "{a}-{b}?": 1,
    "{a} minus {b}": 1,
    "What is {a}-{b}?": 3,
    "what is {a} - {b}": 2,
    "what is {a}-{b}": 1,
    "What is {a} minus {b}?": 3,
    "what is {a} minus {b}?": 1,
    "What's {a} - {b}?": 2,
    "What's {a} minus {b}?": 1,
    "what's {a} - {b}?": 1,
    "Compute {a} minus {b}.": 1,
    "Compute {a} - {b}.": 1,
    "Calculate {a} - {b}.": 1,
    "How much is {a} - {b}?": 2,
    "How much is {a} minus {b}?": 1,
    "how much is {a} - {b}": 1,
    "Subtract {b} from {a}.": 2,
    "subtract {b} from {a}": 1,
    "Please subtract {b} from {a}.": 1,
    "Take {b} from {a}.": 1,
    "Take {b} away from {a}.": 1,
})  # fmt: skip


def add(rng: random.Random, split: Split, difficulty: float, *, think: bool = False) -> Example:
    """A sum; `difficulty` raises the operands' limit from 10 to 1,000."""
    a, b = _operands(rng, split, difficulty)
    question = rng.choice(ADD_FORMS).format(a=a, b=b)
    return _example("add", question, str(a + b), add_thought(a, b) if think else None)


def subtract(rng: random.Random, split: Split, difficulty: float, *, think: bool = False) -> Example:
    """A difference, negative in about three of ten; `difficulty` raises the operands' limit from 10 to 1,000."""
    a, b = _operands(rng, split, difficulty)
    if a < b and rng.random() < 0.4:
        a, b = b, a
    question = rng.choice(SUBTRACT_FORMS).format(a=a, b=b)
    return _example("subtract", question, str(a - b), subtract_thought(a, b) if think else None)


def is_heldout_pair(a: int, b: int) -> bool:
    """Whether sums and differences of these two numbers, in either order, are kept for scoring.

    The tables below ten are always taught: nobody can derive 7 + 8 from other sums of single digits.
    """
    low, high = sorted((a, b))
    return high >= 10 and is_heldout(f"{low} {high}")


def add_thought(a: int, b: int) -> str:
    """The working of a + b."""
    lines, carry = [f"{a}+{b}"], 0
    for column, x, y in _columns(a, b):
        total = x + y + carry
        terms = f"{x}+{y}+1" if carry else f"{x}+{y}"
        carry = total // 10
        lines.append(f"{column}: {terms}={total}, write {total % 10}" + (" carry 1" if carry else ""))
    return "\n".join(lines)


def subtract_thought(a: int, b: int) -> str:
    """The working of a - b; a negative difference is worked the other way round."""
    lines, borrow = [f"{a}-{b}" if a >= b else f"{a}-{b} = -({b}-{a})"], 0
    for column, x, y in _columns(max(a, b), min(a, b)):
        rest = f"{y}-1" if borrow else f"{y}"
        value = x - y - borrow
        borrow = int(value < 0)
        terms = f"{x}-{rest} borrow 1, 1{x}-{rest}" if borrow else f"{x}-{rest}"
        lines.append(f"{column}: {terms}={value % 10}")
    return "\n".join(lines)


def _operands(rng: random.Random, split: Split, difficulty: float) -> tuple[int, int]:
    limit = round(10 ** (1 + 2 * difficulty))
    if split == "heldout":
        limit = max(limit, 100)
    while True:
        a, b = _operand(rng, limit), _operand(rng, limit)
        if is_heldout_pair(a, b) is (split == "heldout"):
            return a, b


def _operand(rng: random.Random, limit: int) -> int:
    """Below `limit`; in a third of cases of fewer digits, which a uniform draw would hardly show."""
    few = rng.random() < 0.33
    return int(rng.random() * (min(limit, 10 ** rng.randint(1, 3)) if few else limit))


def _columns(a: int, b: int) -> list[tuple[str, int, int]]:
    """(name, digit of a, digit of b), ones first, as many as the longer number has."""
    width = len(str(max(a, b)))
    return [(COLUMNS[i], a // 10**i % 10, b // 10**i % 10) for i in range(width)]


def _example(ability: str, question: str, answer: str, thought: str | None) -> Example:
    name = f"{ability}_thought" if thought else ability
    return Example(name, (user(question), reply(answer, thought=thought)), think=thought is not None)
