"""From logits to a token: penalties, filters, the draw. Plain numpy; the definition that faster samplers are held to.

Order: repetition, presence and frequency penalties; logit bias and suppressed tokens; temperature; top-k; top-p;
min-p; the draw. Filters look at the distribution the filters before them left. Each keeps the likeliest so many, so
together they are one cut through the tokens from the likeliest down.

    V vocabulary   C candidates, the likeliest first
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from gemsmith.engine.sampling import Sampling
from gemsmith.errors import SamplingError

MOST_LIKELIEST = 1024  # from here on a whole row is as quick as its best


class Sampler:
    """Draws the tokens of one reply. Keeps what was written, for the penalties, and its own random stream."""

    def __init__(self, sampling: Sampling, prompt: Sequence[int], vocab_size: int, suppressed: Sequence[int] = ()):
        """SamplingError where `logit_bias` names ids outside the vocabulary, or leaves no token to choose."""
        assert sampling.temperature is not None and sampling.top_k is not None and sampling.top_p is not None
        self.sampling = sampling
        self._offset_V = _offsets(sampling, vocab_size, suppressed)
        self.num_likeliest = _num_likeliest(sampling, self._offset_V, vocab_size)
        self._random = np.random.Generator(np.random.PCG64(sampling.seed))
        self._seen = set(prompt)
        self._written: Counter[int] = Counter()

    def draw(self, logits_V: np.ndarray) -> int:
        """The next token's id, remembered for the penalties."""
        return self._remembered(self._choose(self.adjusted(logits_V)))

    def draw_likeliest(self, ids_C: np.ndarray, logits_C: np.ndarray) -> int:
        """The same token, from the `num_likeliest` ids that have the largest logits, the largest first."""
        z_C = logits_C.astype(np.float64)
        if self._offset_V is not None:
            keeps_C = self._offset_V[ids_C] == 0.0
            ids_C, z_C = ids_C[keeps_C], z_C[keeps_C]
        return self._remembered(int(ids_C[self._choose(z_C)]))

    def _remembered(self, token: int) -> int:
        self._seen.add(token)
        self._written[token] += 1
        return token

    def adjusted(self, logits_V: np.ndarray) -> np.ndarray:
        """A float64 copy with penalties, bias and suppressed tokens applied."""
        s, z = self.sampling, logits_V.astype(np.float64)
        if s.repetition_penalty != 1.0:
            seen = np.fromiter(self._seen, dtype=np.int64)
            z[seen] = np.where(z[seen] > 0, z[seen] / s.repetition_penalty, z[seen] * s.repetition_penalty)
        if self._written and (s.presence_penalty or s.frequency_penalty):
            ids = np.fromiter(self._written, dtype=np.int64)
            counts = np.fromiter(self._written.values(), dtype=np.float64)
            z[ids] -= s.presence_penalty + s.frequency_penalty * counts
        return z if self._offset_V is None else z + self._offset_V

    def _choose(self, z_V: np.ndarray) -> int:
        """A place in z_V, which is the whole vocabulary, or as many of the likeliest as filters can leave."""
        if self.sampling.temperature == 0.0:
            return int(z_V.argmax())  # of equals, the lowest id
        ids_C, p_C = self.candidates(z_V)
        place = np.searchsorted(p_C.cumsum(), self._random.random(), side="right")
        return int(ids_C[min(int(place), len(ids_C) - 1)])  # the sum may round to a little less than 1

    def candidates(self, z_V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is drawn from, the likeliest first: ids, and probabilities that sum to 1."""
        s = self.sampling
        assert s.temperature is not None and s.top_k is not None and s.top_p is not None
        ids_C = likeliest(z_V, s.top_k or z_V.size)
        with np.errstate(over="ignore"):  # a far smaller logit at a tiny temperature: -inf is right
            p_C = _normalised(np.exp((z_V[ids_C] - z_V[ids_C[0]]) / s.temperature))
        p_C = _normalised(p_C[: _num_within(p_C, s.top_p)])
        p_C = _normalised(p_C[: np.count_nonzero((p_C >= s.min_p * p_C[0]) & (p_C > 0.0))])
        return ids_C[: len(p_C)], p_C


def _offsets(sampling: Sampling, vocab_size: int, suppressed: Sequence[int]) -> np.ndarray | None:
    """What is added to every logit [V], -inf for what may not be chosen; None where nothing is."""
    if not sampling.logit_bias and not len(suppressed):
        return None
    offset_V = np.zeros(vocab_size)
    for token, bias in sampling.logit_bias.items():
        if not 0 <= token < vocab_size:
            raise SamplingError(f"logit_bias names token {token}; this model's tokens are 0 to {vocab_size - 1}")
        offset_V[token] = bias
    offset_V[[token for token in suppressed if token < vocab_size]] = -np.inf
    if offset_V.max() == -np.inf:
        raise SamplingError(f"logit_bias bans all {vocab_size} tokens and leaves none to choose; ban fewer")
    return offset_V


def _num_likeliest(sampling: Sampling, offset_V: np.ndarray | None, vocab_size: int) -> int | None:
    """How many of the likeliest tokens decide every draw; None where it may take any: no top-k, penalties, a bias."""
    keeps = 1 if sampling.temperature == 0.0 else sampling.top_k
    changes_order = (
        sampling.repetition_penalty != 1.0
        or sampling.presence_penalty != 0.0
        or sampling.frequency_penalty != 0.0
        or any(bias != -np.inf for bias in sampling.logit_bias.values())
    )
    if not keeps or changes_order or sampling.logprobs:
        return None
    banned = 0 if offset_V is None else int(np.count_nonzero(offset_V))
    return keeps + banned if keeps + banned <= min(MOST_LIKELIEST, vocab_size) else None


def likeliest(z_V: np.ndarray, k: int) -> np.ndarray:
    """Ids of the k largest values, the largest first; of equals, the lower id."""
    ids = np.arange(z_V.size)
    if k < z_V.size:  # far cheaper than to sort them all
        ids = np.flatnonzero(z_V >= np.partition(z_V, -k)[-k])
    best: np.ndarray = ids[np.argsort(-z_V[ids], kind="stable")[:k]]
    return best


def _normalised(p: np.ndarray) -> np.ndarray:
    out: np.ndarray = p / p.sum()
    return out


def _num_within(p_C: np.ndarray, share: float) -> int:
    """The fewest of the likeliest whose probabilities reach `share`: at least one, and all for 1."""
    if share == 1.0:
        return len(p_C)
    return 1 + int(np.count_nonzero(p_C.cumsum()[:-1] < share))


def log_softmax(logits_V: np.ndarray) -> np.ndarray:
    """Natural-log probabilities of the model itself, before any penalty or temperature."""
    z = logits_V.astype(np.float64)
    z -= z.max()
    out: np.ndarray = z - np.log(np.exp(z).sum())
    return out
