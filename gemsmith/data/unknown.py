"""Questions that pebble cannot answer, and its honest reply: the world at large, and tools that it was not given."""

from __future__ import annotations

import random

from gemsmith.data.about import written
from gemsmith.data.example import Example, reply, user
from gemsmith.data.split import Split, draw
from gemsmith.data.tools import make_request, words
from gemsmith.data.words import words_of

UNKNOWN = "I don't know that yet."


def unknown(rng: random.Random, split: Split, difficulty: float) -> Example:
    """A question about the world (the question decides the split), or a request for a tool that is not declared."""
    if rng.random() < 0.2:
        question = draw(lambda r: words(make_request(r)), str, rng, split)
    else:
        question = written(rng, draw(_worldly, str.lower, rng, split))
    return Example("unknown", (user(question), reply(UNKNOWN)))


def _worldly(rng: random.Random) -> str:
    template, fillers = rng.choice(_WORLDLY)
    return template.format(rng.choice(fillers))


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.split(","))


_COUNTRIES = words_of(
    "France Spain Italy Germany Japan China India Brazil Peru Chile Egypt Kenya Norway Sweden Finland Poland Greece"
    " Turkey Canada Mexico Australia Austria Ireland Portugal Iceland Cuba Vietnam Nepal Ghana Morocco"
)
_PEOPLE = _phrases(
    "Einstein,Newton,Shakespeare,Mozart,Darwin,Plato,Napoleon,Cleopatra,Marie Curie,Bach,Picasso,Beethoven,Galileo,"
    "Goethe,Homer,Dante,Kepler,Turing,Lincoln,Caesar,the president,the king of Spain,the pope"
)
_SUBJECTS = _phrases(
    "gravity,love,history,music,football,chess,the moon,the sun,philosophy,biology,a black hole,"
    "photosynthesis,democracy,an atom,electricity,the French revolution,quantum physics,art,poetry,cooking,the ocean,"
    "a whale,a tiger,gold,time,money,happiness,a poem,a volcano,evolution,the brain,the heart,physics,chemistry"
)
_THINGS = _phrases(
    "a poem,a story,a song,a letter,an essay,a joke,a novel,a program,a recipe,a speech,a limerick,a haiku,a report"
)
_WORKS = _phrases(
    "Hamlet,Faust,the Odyssey,War and Peace,Don Quixote,the Bible,Moby Dick,the Mona Lisa,Dracula,Emma,Ulysses,"
    "the Magic Flute,Macbeth,Frankenstein,Robinson Crusoe,Carmen"
)
_TOPICS = _phrases("cats,dogs,the sea,love,war,a king,my mother,the moon,spring,Paris,trees,robots")

_WORLDLY: tuple[tuple[str, tuple[str, ...]], ...] = (
    *((form, _COUNTRIES) for form in (
        "what is the capital of {}", "what's the capital of {}", "how many people live in {}", "where is {}",
        "who is the president of {}", "what language do they speak in {}", "how big is {}", "is it warm in {}",
        "what do people eat in {}", "which rivers are in {}")),
    *((form, _PEOPLE) for form in (
        "who was {}", "who is {}", "when was {} born", "tell me about {}", "what did {} do", "when did {} die",
        "where did {} live", "why is {} famous", "how old is {}")),
    *((form, _SUBJECTS) for form in (
        "what is {}", "explain {}", "tell me about {}", "how does {} work", "what do you know about {}",
        "why is {} important", "what's the meaning of {}", "who discovered {}", "do you like {}", "describe {}")),
    *((f"write {{}} about {topic}", _THINGS) for topic in _TOPICS),
    *((form, _WORKS) for form in (
        "who wrote {}", "who made {}", "what happens in {}", "when was {} written", "have you read {}")),
    ("what year is it{}", ("", " now")),
    ("what is the date{}", ("", " today")),
    ("who won the {}", ("world cup", "war", "election", "last match", "game", "race", "tour de france")),
    ("how far away is {}", ("the moon", "the sun", "mars", *_COUNTRIES)),
    ("how tall is {}", ("mount everest", "the eiffel tower", *_PEOPLE)),
    ("what is the best {}", ("book", "film", "car", "phone", "food", "song", "city", "game", "country")),
    ("how do i {}", ("bake bread", "cook rice", "learn french", "fix a car", "lose weight", "get rich", "plant a tree",
                     "swim", "make coffee", "sleep better", "write a book", "build a house", "grow tomatoes")),
    ("should i {}", ("buy a car", "get married", "learn chess", "sell my house", "go to bed", "take a holiday")),
)  # fmt: skip
