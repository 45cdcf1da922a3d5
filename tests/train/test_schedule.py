"""The learning rate over a run."""

from __future__ import annotations

import pytest

from gemsmith.train.schedule import learning_rate

POINTS = ((0, 0.1), (9, 1.0), (80, 1.0), (100, 0.0))


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.1), (4, 0.5), (9, 1.0), (50, 1.0), (80, 1.0), (90, 0.5), (99, 0.05), (100, 0.0), (120, 0.0)],
)
def test_straight_lines_between_the_points(step: int, rate: float) -> None:
    assert learning_rate(step, POINTS) == pytest.approx(rate)


def test_what_comes_later_changes_nothing_before() -> None:
    longer = (*POINTS[:-1], (200, 0.5), (300, 0.0))
    assert all(learning_rate(s, POINTS) == learning_rate(s, longer) for s in range(81))


def test_a_single_point_is_a_constant() -> None:
    assert {learning_rate(s, ((5, 0.3),)) for s in (0, 5, 9)} == {0.3}
