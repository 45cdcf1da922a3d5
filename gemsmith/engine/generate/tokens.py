"""Ids from ids: prefill the prompt, then draw one token after the other until something says stop."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gemsmith.engine.sampler import Sampler, likeliest, log_softmax
from gemsmith.errors import NumericalError
from gemsmith.runtime.protocol import Run, Runtime, Soft


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
            logits_V = runtime.step([Run(sequence, ids, [len(ids) - 1], soft)]).logits[0]
            if not np.isfinite(logits_V).all():
                raise NumericalError(
                    f"the logits of token {runtime.length(sequence)} are not all finite numbers: the weights are"
                    " damaged, or too large for this dtype; load the model with dtype='float32'"
                )
            token = _drawn(sampler, logits_V, stop_ids, left)
            yield token
            if token.finish:
                return
            ids, soft = [token.id], ()
    finally:
        runtime.free(sequence)


def _drawn(sampler: Sampler, logits_V: np.ndarray, stop_ids: Collection[int], left: int) -> Token:
    id = sampler.draw(logits_V)
    finish: Literal["stop", "length"] | None = "stop" if id in stop_ids else None if left else "length"
    if not sampler.sampling.logprobs:
        return Token(id, finish)
    logprobs_V = log_softmax(logits_V)
    best = likeliest(logprobs_V, sampler.sampling.top_logprobs) if sampler.sampling.top_logprobs else ()
    return Token(id, finish, float(logprobs_V[id]), tuple((int(i), float(logprobs_V[i])) for i in best))
