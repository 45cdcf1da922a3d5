"""Sums and differences: the answers, the working line by line, and who is held out."""

import random
import re

import pytest

from gemsmith.data.arithmetic import ADD_FORMS, SUBTRACT_FORMS, add, is_heldout_pair, subtract
from gemsmith.data.example import Example

SEEDS = range(300)
READINGS = (
    r"(?:subtract|take) (?P<b>\d+) (?:away )?from (?P<a>\d+)",
    r"(?P<a>\d+)\D+?(?P<b>\d+)",
)


def operands(example: Example) -> tuple[int, int]:
    """Reads the question as a person would."""
    text = example.messages[0].text.lower()
    match = next(filter(None, (re.search(reading, text) for reading in READINGS)))
    return int(match["a"]), int(match["b"])


@pytest.mark.parametrize("think", [False, True])
def test_answers_are_right(think: bool) -> None:
    for seed in SEEDS:
        rng = random.Random(seed)
        total, rest = add(rng, "train", 1.0, think=think), subtract(rng, "heldout", 1.0, think=think)
        assert int(total.messages[-1].text) == sum(operands(total))
        a, b = operands(rest)
        assert int(rest.messages[-1].text) == a - b
        assert (total.messages[-1].thought is not None) is total.think is think


def test_every_line_of_a_sum_is_true_and_its_digits_are_the_answer() -> None:
    for seed in SEEDS:
        example = add(random.Random(seed), "train", 1.0, think=True)
        first, *columns = (example.messages[-1].thought or "").split("\n")
        digits, carry = "", 0
        for line in columns:
            terms, total = re.fullmatch(r"\w+: ([\d+]+)=(\d+), write \d(?: carry 1)?", line).groups()  # type: ignore[union-attr]
            assert sum(map(int, terms.split("+"))) == int(total)
            assert terms.count("+") == 1 + carry, "the carry of the column before is added"
            carry = int(total) // 10
            assert line.endswith(f"write {int(total) % 10}" + " carry 1" * carry)
            digits = str(int(total) % 10) + digits
        assert first == "{}+{}".format(*operands(example))
        assert int(f"{carry}{digits}") == int(example.messages[-1].text)


def test_every_line_of_a_difference_is_true_and_its_digits_are_the_answer() -> None:
    for seed in SEEDS:
        example = subtract(random.Random(seed), "train", 1.0, think=True)
        first, *columns = (example.messages[-1].thought or "").split("\n")
        a, b = operands(example)
        digits, borrow = "", 0
        for line in columns:
            working, value = line.split(": ")[1].split(" borrow 1, ")[-1].split("=")
            left, *right = map(int, working.split("-"))
            assert left - sum(right) == int(value) and 0 <= int(value) <= 9
            assert len(right) == 1 + borrow, "the borrow of the column before is taken"
            borrow = int("borrow" in line)
            digits = value + digits
        assert first == (f"{a}-{b}" if a >= b else f"{a}-{b} = -({b}-{a})")
        assert int(digits) == abs(int(example.messages[-1].text)) and not borrow


def test_a_pair_is_held_out_in_either_order_and_for_every_question() -> None:
    pairs = [(a, b) for a in range(0, 1000, 7) for b in range(0, 1000, 11)]
    assert all(is_heldout_pair(a, b) == is_heldout_pair(b, a) for a, b in pairs)
    share = sum(is_heldout_pair(a, b) for a, b in pairs) / len(pairs)
    assert 0.09 < share < 0.11
    assert not any(is_heldout_pair(a, b) for a in range(10) for b in range(10))


def test_the_forms_of_the_read_me_are_the_most_frequent() -> None:
    assert max(set(ADD_FORMS), key=ADD_FORMS.count) == "What is {a} + {b}?"
    assert max(set(SUBTRACT_FORMS), key=SUBTRACT_FORMS.count) == "What is {a} - {b}?"


def test_difficulty_limits_the_operands_and_full_difficulty_is_mostly_three_digits() -> None:
    rng = random.Random(0)
    assert max(max(operands(add(rng, "train", 0.0))) for _ in range(500)) < 10
    assert max(max(operands(add(rng, "train", 0.5))) for _ in range(500)) < 100
    full = [operands(add(rng, "heldout", 1.0)) for _ in range(2000)]
    assert sum(max(pair) >= 100 for pair in full) / len(full) > 0.8
    assert min(min(pair) for pair in full) < 10


def test_a_fair_share_of_differences_is_negative() -> None:
    rng = random.Random(0)
    negative = sum(subtract(rng, "heldout", 1.0).messages[-1].text.startswith("-") for _ in range(2000)) / 2000
    assert 0.2 < negative < 0.4
