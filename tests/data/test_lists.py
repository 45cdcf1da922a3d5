"""Copying, sorting and looking up: every answer is worked out again from the question's words."""

import random
import re

import pytest

from gemsmith.data.copying import copy
from gemsmith.data.lookup import AFTER, BEFORE, lookup
from gemsmith.data.sorting import DOWN, sort
from gemsmith.data.split import Split

PAIR = re.compile(r"^(?:- )?(\w+)(?:: | = | )(\w+)$", re.MULTILINE)


def test_a_copy_is_the_sequence_in_the_question() -> None:
    for seed in range(300):
        question, answer = (m.text for m in copy(random.Random(seed), "train", 1.0).messages)
        assert answer in question
        assert 3 <= len(re.split(r", |\s", answer)) <= 12
        left = question.replace(answer, "").strip()
        assert not re.search(r"\d|\b[b-z]\b", left), f"something of the sequence was left out: {left}"


def test_a_sorted_list_has_the_same_items_in_order() -> None:
    for seed in range(300):
        question, answer = (m.text for m in sort(random.Random(seed), "heldout", 1.0).messages)
        items = answer.split(", " if ", " in answer else " ")
        assert 3 <= len(items) <= 6
        given = (
            re.findall(r"\d+", question)
            if items[0].isdigit()
            else [w for w in re.split(r"[\s,]+", question.replace("from a to z", "")) if w in items]
        )
        assert sorted(given) == sorted(items)
        key = int if items[0].isdigit() else str
        is_down = any(question.startswith(form.split("{}")[0]) for form in DOWN if not form.startswith("sort"))
        is_down |= "descending" in question
        assert items == sorted(items, key=key, reverse=is_down)


def read_list(text: str) -> tuple[dict[str, str], str]:
    """The pairs of a list and the key asked for, read with the forms turned into patterns."""
    for form in sorted((*AFTER, *BEFORE), key=len, reverse=True):  # the most specific first
        pattern = re.escape(form).replace(r"\{list\}", "(?P<list>.+)").replace(r"\{key\}", r"(?P<key>\w+)")
        if match := re.fullmatch(pattern, text, re.DOTALL):
            return dict(PAIR.findall(match["list"].replace(", ", "\n"))), match["key"]
    raise AssertionError(text)


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_every_looked_up_value_stands_beside_its_key_and_the_list_outgrows_the_window(split) -> None:
    for seed in range(300):
        question, answer, *more = lookup(random.Random(seed), split, 1.0).messages
        pairs, key = read_list(question.text)
        assert pairs[key] == answer.text
        assert 16 <= len(pairs) <= 42 and (split == "train" or not more)
        for again, value in zip(more[::2], more[1::2], strict=True):
            [key] = [word for word in re.findall(r"\w+", again.text) if word in pairs]
            assert pairs[key] == value.text


def test_difficulty_makes_lists_longer() -> None:
    rng = random.Random(0)
    assert {len(copy(rng, "train", 0.0).messages[1].text.replace(",", "").split()) for _ in range(100)} == {3}
    assert {len(sort(rng, "train", 0.0).messages[1].text.replace(",", "").split()) for _ in range(100)} == {3}
    assert max(len(lookup(rng, "heldout", 0.0).messages[0].text) for _ in range(100)) < 140
    longest = max(len(sort(rng, "train", 5 / 3).messages[1].text.replace(",", "").split()) for _ in range(200))
    assert longest == 8


def test_training_also_asks_before_the_list() -> None:
    """Half of the lists, most of these with idle words between; held-out lists are asked about behind them."""
    rng = random.Random(0)

    def asked_first(split: Split) -> list[str]:
        texts = [lookup(rng, split, 0.0).messages[0].text for _ in range(400)]
        return [text for text in texts if text.startswith(("What is", "Find", "Look up"))]

    train = asked_first("train")
    assert 160 < len(train) < 240 and not asked_first("heldout")
    assert sum(len(text) > 250 for text in train) > len(train) // 4
