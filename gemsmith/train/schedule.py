"""The learning rate over a run: straight lines between given points.

Up to a point, the rate does not depend on the points behind it, so a run can be prolonged without changing what it has
already done (the idea of Hägele et al. 2024, arXiv 2405.18392).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

Points = Sequence[tuple[int, float]]  # (step, learning rate), steps ascending


def learning_rate(step: int, points: Points) -> float:
    """The rate of step `step` (from 0); before the first point and behind the last, theirs."""
    if step <= points[0][0]:
        return points[0][1]
    for (start, low), (end, high) in pairwise(points):
        if step <= end:
            return low + (high - low) * (step - start) / (end - start)
    return points[-1][1]
