"""From logits to a token: penalties, filters, the draw. Plain numpy; the definition that faster samplers are held to.

Order: repetition, presence and frequency penalties; logit bias and suppressed tokens; temperature; top-k; top-p;
min-p; the draw. Filters look at the distribution the filters before them left.

    V vocabulary
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from gemsmith.errors import SamplingError


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How to choose tokens and when to stop. What is None comes from the checkpoint's generation_config."""

    temperature: float | None = None  # 0 takes the likeliest token
    top_k: int | None = None  # keep the k likeliest; 0 keeps all
    top_p: float | None = None  # keep the likeliest that together reach this probability; 1 keeps all
    min_p: float = 0.0  # drop what is less likely than this share of the likeliest
    max_tokens: int | None = None  # None: up to the context limit
    stop: tuple[str, ...] = ()  # strings that end the answer; never shown
    seed: int | None = None  # None: a different draw every time
    repetition_penalty: float = 1.0  # divides positive logits of tokens seen anywhere (multiplies negative ones)
    presence_penalty: float = 0.0  # subtracted once from tokens already written
    frequency_penalty: float = 0.0  # subtracted for every time a token was written
    logit_bias: Mapping[int, float] = field(default_factory=dict)  # token id -> added to its logit
    logprobs: bool = False
    top_logprobs: int = 0  # alternatives reported per token, with logprobs

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Sampling:
        """From keyword arguments. SamplingError for unknown names and for values outside their range."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(options) - known):
            raise SamplingError(f"unknown sampling option {unknown[0]!r}; known are {', '.join(sorted(known))}")
        values = dict(options)
        stop = values.get("stop", ())
        values["stop"] = (stop,) if isinstance(stop, str) else tuple(stop or ())
        values["logit_bias"] = _bias(values.get("logit_bias"))
        for name, low, high, whole in _RANGES:
            if name in values and not (values[name] is None and name in _OPTIONAL):
                _check(name, values[name], low, high, whole)
        _check_stop(values["stop"])
        return cls(**values)


_OPTIONAL = {"temperature", "top_k", "top_p", "max_tokens", "seed"}
_RANGES = (
    ("temperature", 0.0, 100.0, False),
    ("top_k", 0, 1 << 24, True),
    ("top_p", 0.0, 1.0, False),
    ("min_p", 0.0, 1.0, False),
    ("max_tokens", 1, 1 << 30, True),
    ("seed", 0, (1 << 64) - 1, True),
    ("repetition_penalty", 0.01, 100.0, False),
    ("presence_penalty", -100.0, 100.0, False),
    ("frequency_penalty", -100.0, 100.0, False),
    ("top_logprobs", 0, 128, True),
)


def _check(name: str, value: Any, low: float, high: float, whole: bool) -> None:
    kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        kind = "a whole number" if whole else "a number"
        raise SamplingError(f"{name} must be {kind} from {low:g} to {high:g}, found {value!r}")


def _check_stop(stop: tuple[Any, ...]) -> None:
    if len(stop) > 16:
        raise SamplingError(f"stop takes at most 16 strings, found {len(stop)}")
    for text in stop:
        if not isinstance(text, str) or not 0 < len(text) <= 1024:
            raise SamplingError(f"every stop must be a string of 1 to 1024 characters, found {str(text)[:40]!r}")


def _bias(bias: Any) -> dict[int, float]:
    try:
        pairs = {int(token): float(value) for token, value in (bias or {}).items()}
    except (AttributeError, TypeError, ValueError):
        raise SamplingError(f"logit_bias must map token ids to numbers, found {str(bias)[:60]!r}") from None
    for token, value in pairs.items():
        if math.isnan(value):
            raise SamplingError(f"logit_bias of token {token} is not a number")
    return pairs


class Sampler:
    """Draws the tokens of one reply. Keeps what was written, for the penalties, and its own random stream."""

    def __init__(self, sampling: Sampling, prompt: Sequence[int], suppressed: Sequence[int] = ()):
        assert sampling.temperature is not None and sampling.top_k is not None and sampling.top_p is not None
        self.sampling = sampling
        self._suppressed = np.array(sorted(suppressed), dtype=np.int64)
        self._random = np.random.Generator(np.random.PCG64(sampling.seed))
        self._seen = set(prompt)
        self._written: Counter[int] = Counter()

    def draw(self, logits_V: np.ndarray) -> int:
        """The next token's id, remembered for the penalties."""
        token = self._choose(self.adjusted(logits_V))
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
        for token, bias in s.logit_bias.items():
            if not 0 <= token < z.size:
                raise SamplingError(f"logit_bias names token {token}; the vocabulary has {z.size} tokens")
            z[token] += bias
        z[self._suppressed] = -np.inf
        if not np.isfinite(z.max()):
            raise SamplingError("logit_bias leaves no token to choose, or lifts one to infinity")
        return z

    def _choose(self, z_V: np.ndarray) -> int:
        if self.sampling.temperature == 0.0:
            return int(z_V.argmax())
        p_V = self.probabilities(z_V)
        return int(np.searchsorted(p_V.cumsum(), self._random.random() * p_V.sum(), side="right").clip(0, p_V.size - 1))

    def probabilities(self, z_V: np.ndarray) -> np.ndarray:
        """What is drawn from: temperature, then top-k, top-p and min-p, each on what the last one left."""
        s = self.sampling
        assert s.temperature is not None and s.top_k is not None and s.top_p is not None
        p_V = _softmax((z_V - z_V.max()) / s.temperature)
        if 0 < s.top_k < p_V.size:
            p_V = _kept(p_V, _top_k(p_V, s.top_k))
        if s.top_p < 1.0:
            p_V = _kept(p_V, _top_p(p_V, s.top_p))
        if s.min_p > 0.0:
            p_V = _kept(p_V, p_V >= s.min_p * p_V.max())
        return p_V


def _softmax(z: np.ndarray) -> np.ndarray:
    e: np.ndarray = np.exp(z)
    return e / e.sum()


def _kept(p: np.ndarray, keep: np.ndarray) -> np.ndarray:
    p = np.where(keep, p, 0.0)
    out: np.ndarray = p / p.sum()
    return out


def _top_k(p: np.ndarray, k: int) -> np.ndarray:
    keep = np.zeros(p.size, dtype=bool)
    keep[np.argsort(-p, kind="stable")[:k]] = True  # stable: of equals, the lower id stays
    return keep


def _top_p(p: np.ndarray, share: float) -> np.ndarray:
    """The fewest likeliest tokens whose probabilities reach `share`; always at least one."""
    order = np.argsort(-p, kind="stable")
    before = p[order].cumsum() - p[order]
    keep = np.zeros(p.size, dtype=bool)
    keep[order[before < share]] = True
    keep[order[0]] = True
    return keep


def log_softmax(logits_V: np.ndarray) -> np.ndarray:
    """Natural-log probabilities of the model itself, before any penalty or temperature."""
    z = logits_V.astype(np.float64)
    z -= z.max()
    out: np.ndarray = z - np.log(np.exp(z).sum())
    return out
