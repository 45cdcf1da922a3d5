"""Scoring: a model that knows everything gets 100 %, one that knows nothing 0, and the table says so plainly."""

import json
from itertools import islice

import pytest

from gemsmith.chat.values import Message, Text
from gemsmith.data.curriculum import ABILITIES
from gemsmith.errors import RequestError
from gemsmith.eval import pebble
from gemsmith.eval.pebble import heldout, score
from gemsmith.eval.table import Row, as_json, failure_list, table

pytestmark = pytest.mark.slow  # loads pebble

N = 500


class Oracle:
    """Knows every held-out answer of a seed, and every n-th wrongly; remembers how it was asked."""

    def __init__(self, seed: int, wrong_every: int = 0):
        self.wrong_every, self.settings, self.count = wrong_every, [], 0
        self.answers = {
            repr((list(e.messages[:-1]), list(e.tools))): e.messages[-1]
            for ability in ABILITIES
            for e in islice(heldout(ability, seed), N)
        }

    def __call__(self, messages, *, tools, think, temperature, max_tokens) -> Message:
        self.settings.append((think, temperature))
        self.count += 1
        if self.wrong_every and self.count % self.wrong_every == 0:
            return Message("assistant", (Text("no idea"),))
        return self.answers[repr((messages, tools))]


@pytest.mark.slow
def test_there_are_500_different_questions_of_each_ability_and_a_perfect_model_answers_all() -> None:
    rows = score(Oracle(3), n=N, seed=3)
    assert [(row.ability, row.n, row.correct, row.percent) for row in rows] == [(a, N, N, 100.0) for a in ABILITIES]
    assert failure_list(rows) == ""


@pytest.mark.slow
def test_failures_are_counted_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    [row] = score(Oracle(0, wrong_every=4), ["copy"], n=100, seed=0, max_failures=3)
    assert (row.correct, row.percent, len(row.failures)) == (75, 75.0, 3)
    assert row.failures[0].got == "no idea" and row.failures[0].wanted in failure_list([row])
    assert capsys.readouterr().out == "", "data goes to standard output, and this is not data"


def test_every_question_is_asked_greedily_and_with_thinking_only_where_it_is_scored() -> None:
    oracle = Oracle(1)
    score(oracle, ["add", "add_thought"], n=20, seed=1)
    assert oracle.settings == [(False, 0)] * 20 + [(True, 0)] * 20


def test_the_same_seed_asks_the_same_and_another_seed_something_else() -> None:
    first, again, other = (list(islice(heldout("sort", seed), 50)) for seed in (0, 0, 1))
    assert first == again != other


def test_an_unknown_ability_and_too_many_questions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RequestError, match=r"poetry.*choose from add"):
        score(Oracle(0), ["poetry"], n=1)
    monkeypatch.setattr(pebble, "MAX_DRAWS", 2)
    with pytest.raises(RequestError, match="held-out questions; ask for fewer"):
        list(islice(heldout("about", 0), 1_000_000))


def test_the_table_is_plain_and_never_rounds_up() -> None:
    rows = [Row("add", 10_000, 8_996), Row("copy", 3, 2)]
    assert table(rows).splitlines() == [
        "ability                 n  correct  percent",
        "add                 10000     8996     89.9",
        "copy                    3        2     66.6",
    ]
    data = json.loads(as_json(rows))
    assert data[0] == {"ability": "add", "n": 10000, "correct": 8996, "failures": [], "percent": 89.96}
