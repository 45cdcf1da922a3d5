"""Ids from ids: prefill the prompt, then draw one token after the other until something says stop."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gemsmith.engine.sampling import Sampler, Sampling, log_softmax
from gemsmith.errors import ContextLengthError, NumericalError
from gemsmith.runtime.protocol import Run, Runtime


@dataclass(frozen=True)
class Token:
    """One generated token. `finish` is set on the last: `stop` if it is a stop id, `length` if there is no more room."""

    id: int
    finish: Literal["stop", "length"] | None
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


def generate(
    runtime: Runtime,
    prompt: Sequence[int],
    sampling: Sampling,
    *,
    stop_ids: Collection[int],
    suppressed: Sequence[int] = (),
    max_context: int,
) -> Iterator[Token]:
    """Tokens of one reply. Prompt and reply together never exceed `max_context` tokens.

    ContextLengthError if the prompt alone does; a prompt that fills the context exactly gets no token.
    """
    if len(prompt) > max_context:
        raise ContextLengthError(len(prompt), max_context)
    room = min(max_context - len(prompt), sampling.max_tokens or max_context)
    sampler = Sampler(sampling, prompt, suppressed)
    sequence = runtime.new()
    try:
        ids = list(prompt)
        for left in reversed(range(room)):
            logits_V = runtime.step([Run(sequence, ids, [len(ids) - 1])]).logits[0]
            if not np.isfinite(logits_V).all():
                raise NumericalError(f"logits after token {runtime.length(sequence)} are not all finite numbers")
            token = _drawn(sampler, logits_V, stop_ids, left)
            yield token
            if token.finish:
                return
            ids = [token.id]
    finally:
        runtime.free(sequence)


def _drawn(sampler: Sampler, logits_V: np.ndarray, stop_ids: Collection[int], left: int) -> Token:
    id = sampler.draw(logits_V)
    finish: Literal["stop", "length"] | None = "stop" if id in stop_ids else None if left else "length"
    if not sampler.sampling.logprobs:
        return Token(id, finish)
    logprobs_V = log_softmax(logits_V)
    best = np.argsort(-logprobs_V, kind="stable")[: sampler.sampling.top_logprobs]
    return Token(id, finish, float(logprobs_V[id]), tuple((int(i), float(logprobs_V[i])) for i in best))
