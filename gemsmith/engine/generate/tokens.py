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
            try:
                token = _drawn(sampler, rows, stop_ids, left)
            except FloatingPointError:
                raise NumericalError(
                    f"the logits of token {runtime.length(sequence)} are not all finite numbers: the weights are"
                    " damaged, or too large for this dtype; load the model with dtype='float32'"
                ) from None
            yield token
            if token.finish:
                return
            ids, soft = [token.id], ()
    finally:
        runtime.free(sequence)


def _drawn(sampler: Sampler, rows: Rows, stop_ids: Collection[int], left: int) -> Token:
    """The next token of the one row; FloatingPointError where its logits are not finite."""
    if sampler.num_likeliest is not None:  # a vocabulary of 262,144 is not written out to choose among 64
        ids_RC, logits_RC, log_sums_R = rows.top(sampler.num_likeliest)
        _check(log_sums_R)
        id = sampler.draw_likeliest(ids_RC[0], logits_RC[0])
        return Token(id, _finish(id, stop_ids, left))
    logits_V = rows.logits[0]
    _check(logits_V)
    id = sampler.draw(logits_V)
    if not sampler.sampling.logprobs:
        return Token(id, _finish(id, stop_ids, left))
    logprobs_V = log_softmax(logits_V)
    best = likeliest(logprobs_V, sampler.sampling.top_logprobs) if sampler.sampling.top_logprobs else ()
    top = tuple((int(i), float(logprobs_V[i])) for i in best)
    return Token(id, _finish(id, stop_ids, left), float(logprobs_V[id]), top)


def _check(values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise FloatingPointError


def _finish(id: int, stop_ids: Collection[int], left: int) -> Literal["stop", "length"] | None:
    return "stop" if id in stop_ids else None if left else "length"
