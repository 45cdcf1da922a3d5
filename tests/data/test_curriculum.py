"""The stream of examples: the same from the same seed, no content on both sides of the split, never too long."""

import random
import re
import time
from itertools import islice

import pytest

from gemsmith.data.curriculum import ABILITIES, MAKERS, WEIGHTS, example, stream
from gemsmith.data.example import Example
from gemsmith.data.split import is_heldout

BY_CONTENT = tuple(name for name in ABILITIES if name != "about")  # of `about`, the phrasing is the content


def content(made: Example) -> str:
    """What must not be on both sides: numbers and words of the first question, in whatever wording or order."""
    if "add" in made.ability or "subtract" in made.ability:
        return "pair " + " ".join(sorted(re.findall(r"\d+", made.messages[0].text)))
    if made.ability == "sort":
        return "sort " + " ".join(sorted(re.split(r"[ ,\n]+", made.messages[-1].text)))
    if made.ability == "copy":
        return "copy " + " ".join(re.split(r"[ ,\n]+", made.messages[-1].text))
    if made.ability == "lookup":
        return "lookup " + " ".join(re.findall(r"\w+[:= ]+\w+(?=,|\n|\.|$)", made.messages[0].text))
    if made.ability == "tool_answer":
        return f"{made.messages[0].text} {sorted(made.messages[2].parts[0].content.items())}"
    return made.messages[0].text


def many(ability: str, split: str, count: int, difficulty: float = 1.0) -> list[Example]:
    rng = random.Random(f"{ability} {split}")
    made = [example(ability, rng, split=split, difficulty=difficulty) for _ in range(count)]  # type: ignore[arg-type]
    return [e for e in made if e.messages[0].role != "system"]


def test_the_same_seed_gives_the_same_examples_and_another_gives_others() -> None:
    first, again, other = (list(islice(stream(seed), 400)) for seed in (7, 7, 8))
    assert first == again != other


def test_held_out_stays_held_out_between_versions() -> None:
    """A pebble trained earlier must not meet its training content as held out: the hash may never change."""
    assert [i for i in range(50) if is_heldout(str(i))] == [7, 24, 30, 41, 46]


@pytest.mark.slow
@pytest.mark.parametrize("ability", BY_CONTENT)
def test_no_content_is_both_taught_and_held_out(ability: str) -> None:
    taught = {content(e) for easy in (0.3, 1.0) for e in many(ability, "train", 1500, easy)}
    heldout = {content(e) for e in many(ability, "heldout", 500)}
    assert len(heldout) >= 250 and not taught & heldout


@pytest.mark.slow
def test_a_pair_held_out_for_sums_is_held_out_for_differences_and_with_a_thought() -> None:
    names = ("add", "subtract", "add_thought", "subtract_thought")
    taught = {content(e) for name in names for e in many(name, "train", 3000)}
    heldout = {content(e) for name in names for e in many(name, "heldout", 1000)}
    assert not taught & heldout


@pytest.mark.parametrize("ability", [*MAKERS, "chat", "long_chat"])
def test_every_example_ends_with_a_reply_and_bears_its_ability_name(ability: str) -> None:
    for made in many(ability, "train", 200) + many(ability, "heldout", 50):
        assert made.ability == ability
        assert made.messages[-1].role == "assistant" and made.messages[-1].parts
        assert made.think or not any(m.thought for m in made.messages)
        assert not made.think or all(m.thought for m in made.messages if m.role == "assistant")


def test_held_out_examples_are_plain_questions() -> None:
    for ability in ABILITIES:
        for made in many(ability, "heldout", 50):
            assert made.messages[0].role == "user"
            assert sum(m.role == "user" for m in made.messages) == 1
            assert made.think == ability.endswith("_thought")


def test_weights_and_difficulty_steer_the_stream() -> None:
    asked: list[str] = []

    def difficulty(ability: str) -> float:
        asked.append(ability)
        return 0.0

    made = list(islice(stream(0, weights={"add": 3, "copy": 1}, difficulty=difficulty), 400))
    assert asked == [e.ability for e in made]
    assert 0.68 < sum(e.ability == "add" for e in made) / 400 < 0.82
    assert set(WEIGHTS) == {*MAKERS, "chat"}


def test_making_an_example_is_fast() -> None:
    examples = stream(0)
    next(examples)
    start = time.process_time()
    for _ in range(5000):
        next(examples)
    assert 5000 / (time.process_time() - start) > 4000, "examples a second, on one core"
