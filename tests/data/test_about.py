"""Questions about gemsmith: enough phrasings of each, no phrase with two answers, honest short replies."""

import random
from collections import defaultdict

import pytest

from gemsmith.data.about import TOPICS, about, phrasings, written
from gemsmith.data.unknown import UNKNOWN, unknown


@pytest.mark.parametrize("topic", TOPICS)
def test_each_question_has_many_phrasings_and_some_are_held_out(topic: str) -> None:
    taught, heldout = phrasings(topic, "train"), phrasings(topic, "heldout")
    assert len(taught) >= 30 and len(heldout) >= 4
    assert not set(taught) & set(heldout)
    rng = random.Random(0)
    assert len({written(rng, words) for words in taught * 5}) >= 60
    assert len(TOPICS[topic].answer.split()) <= 25


def test_no_phrase_has_two_answers() -> None:
    topics = defaultdict(set)
    for topic in TOPICS:
        for words in (*phrasings(topic, "train"), *phrasings(topic, "heldout")):
            topics[words.lower()].add(topic)
    assert {words: found for words, found in topics.items() if len(found) > 1} == {}
    answers = [topic.answer for topic in TOPICS.values()]
    assert len(set(answers)) == len(answers) >= 30


def test_about_a_seventh_of_the_phrasings_is_held_out() -> None:
    taught, heldout = (sum(len(phrasings(topic, split)) for topic in TOPICS) for split in ("train", "heldout"))
    assert 0.12 < heldout / (taught + heldout) < 0.18


def test_the_plainest_questions_are_taught() -> None:
    plain = {"hello": "hello", "gemsmith": "what is gemsmith", "who_are_you": "who are you", "thanks": "thanks"}
    for topic, words in plain.items():
        assert words in phrasings(topic, "train")


def test_patterns_leave_no_brackets_behind() -> None:
    rng = random.Random(0)
    for _ in range(2000):
        text = about(rng, "train", 1.0).messages[0].text
        assert text == text.strip() and not set("()|~") & set(text) and "  " not in text


def test_what_pebble_cannot_know_has_one_honest_answer() -> None:
    rng = random.Random(0)
    known = {words.lower() for topic in TOPICS for words in phrasings(topic, "train")}
    for _ in range(2000):
        question, reply = unknown(rng, "train", 1.0).messages
        assert reply.text == UNKNOWN
        assert question.text.lower().strip("?!. ") not in known
