"""The learning rate over a run: warm up, hold, then fall in a straight line to nothing.

Until the fall begins, the rate does not depend on how long the run will be, so a run can be prolonged without
changing what it has already done (Hägele et al. 2024, arXiv 2405.18392).
"""

from __future__ import annotations


def learning_rate(step: int, *, peak: float, warmup: int, total: int, decay: int) -> float:
    """The rate of step `step` (from 0) of `total`, the last `decay` of which fall linearly towards 0."""
    if step < warmup:
        return peak * (step + 1) / warmup
    remaining = total - step
    return peak * min(1.0, max(remaining, 0) / decay) if decay else peak
