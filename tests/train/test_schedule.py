"""The learning rate over a run."""

from __future__ import annotations

import pytest

from gemsmith.train.schedule import learning_rate


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 0.1), (4, 0.5), (9, 1.0), (50, 1.0), (80, 1.0), (90, 0.5), (99, 0.05), (100, 0.0)]
)
def test_warm_up_hold_and_fall(step: int, rate: float) -> None:
    assert learning_rate(step, peak=1.0, warmup=10, total=100, decay=20) == pytest.approx(rate)
