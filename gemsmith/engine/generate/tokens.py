"""Ids from ids: prefill the prompt, then draw one token after the other until something says stop."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gemsmith.engine.sampler import Sampler, likeliest, log_softmax
from gemsmith.errors import NumericalError
from gemsmith.runtime.protocol import Rows, Run, Runtime, Soft


@dataclass(frozen=True)
class Token:
    """One generated token. The last has `finish`: `stop` if it is a stop id, `length` if there is no more room."""

    id: int
    finish: Literal["stop", "length"] | None
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


def generate(
    runtime: Runtime,
    prompt: Sequence[int],
    sampler: Sampler,
    *,
    stop_ids: Collection[int],
    room: int,
    encoded: Callable[[], Sequence[Soft]] = tuple,
) -> Generator[Token]:
    """At most `room` tokens of one reply. The sequence lives from the first token asked for until the iterator ends.

    `encoded` gives the soft tokens of the prompt's media; looking at them begins with the first token asked for.
    """
    sequence = runtime.new()
    try:
        ids, soft = list(prompt), encoded() if room > 0 else ()
        for left in reversed(range(room)):
            rows = runtime.step([Run(sequence, ids, [len(ids) - 1], soft)])
            token = _drawn(sampler, rows, stop_ids, left, place=runtime.length(sequence))
            yield token
            if token.finish:
                return
            ids, soft = [token.id], ()
    finally:
        runtime.free(sequence)


def _drawn(sampler: Sampler, rows: Rows, stop_ids: Collection[int], left: int, place: int) -> Token:
    """The next token of the one row, which is token number `place` of the sequence."""
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()
    if sampler.num_likeliest is not None:  # a vocabulary of 262,144 is not written out to choose among 64
        ids_RC, logits_RC = rows.likeliest(sampler.num_likeliest)
        _check_finite(logits_RC, place)
        id = sampler.draw_likeliest(ids_RC[0], logits_RC[0])
    else:
        logits_V = rows.logits[0]
        _check_finite(logits_V, place)
        id = sampler.draw(logits_V)
        if sampler.sampling.logprobs:
            logprob, top = _logprobs(logits_V, id, sampler.sampling.top_logprobs)
    return Token(id, "stop" if id in stop_ids else None if left else "length", logprob, top)


def _check_finite(values: np.ndarray, place: int) -> None:
    if not np.isfinite(values).all():
        raise NumericalError(
            f"the logits of token {place} are not all finite numbers: the weights are damaged, or too large for this"
            " dtype; load the model with dtype='float32'"
        )


def _logprobs(logits_V: np.ndarray, id: int, num_top: int) -> tuple[float, tuple[tuple[int, float], ...]]:
    """Of the drawn token, and of the likeliest."""
    logprobs_V = log_softmax(logits_V)
    best = likeliest(logprobs_V, num_top) if num_top else ()
    return float(logprobs_V[id]), tuple((int(i), float(logprobs_V[i])) for i in best)
