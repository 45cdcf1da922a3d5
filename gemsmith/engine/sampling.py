"""How a caller wants tokens chosen, checked once at the border. What the values do is in `sampler.py`."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from gemsmith.config.fields import shown
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
    logit_bias: Mapping[int, float] = field(default_factory=dict)  # token id -> added to its logit; -inf bans it
    logprobs: bool = False
    top_logprobs: int = 0  # alternatives reported per token; asks for logprobs too

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Sampling:
        """From keyword arguments; None means what an absent one means.

        SamplingError for unknown names, wrong types and values outside their range.
        """
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(options) - known):
            raise SamplingError(f"unknown sampling option {unknown[0]!r}; known are {', '.join(sorted(known))}")
        values = {name: value for name, value in options.items() if value is not None}
        for name, low, high, whole in _RANGES:
            if name in values:
                values[name] = _number(name, values[name], low, high, whole)
        values["stop"] = _stop(values.get("stop", ()))
        values["logit_bias"] = _bias(values.get("logit_bias", {}))
        values["logprobs"] = _logprobs(values.get("logprobs"), values.get("top_logprobs", 0))
        return cls(**values)


_RANGES = (
    ("temperature", 0.0, 1000.0, False),
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


def _number(name: str, value: Any, low: float, high: float, whole: bool) -> float:
    if not _is_number(value, whole) or not low <= value <= high:  # NaN is not within any range
        kind = "a whole number" if whole else "a number"
        raise SamplingError(f"{name} must be {kind} from {shown(low)} to {shown(high)}, found {shown(value)}")
    return int(value) if whole else float(value)


def _is_number(value: Any, whole: bool = False) -> bool:
    """Numbers of Python and numpy; True and False are none."""
    return isinstance(value, numbers.Integral if whole else numbers.Real) and not isinstance(value, bool)


def _stop(stop: Any) -> tuple[str, ...]:
    if not isinstance(stop, Iterable) or isinstance(stop, (bytes, Mapping)):
        raise SamplingError(f"stop must be a string or a list of strings, found {shown(stop)}")
    stops = (stop,) if isinstance(stop, str) else tuple(stop)
    if len(stops) > 16:
        raise SamplingError(f"stop takes at most 16 strings, found {len(stops)}; give fewer")
    for text in stops:
        if not isinstance(text, str) or not 0 < len(text) <= 1024:
            raise SamplingError(f"every stop must be a string of 1 to 1024 characters, found {shown(text)}")
    return stops


def _bias(bias: Any) -> dict[int, float]:
    if not isinstance(bias, Mapping):
        raise SamplingError(f"logit_bias must map token ids to numbers, found {shown(bias)}")
    return {_token_id(token): _bias_value(token, value) for token, value in bias.items()}


def _token_id(token: Any) -> int:
    """JSON has no whole numbers for keys, so "106" names token 106."""
    if isinstance(token, str) and token.isascii() and token.isdecimal() and len(token) <= 9:
        return int(token)
    if not _is_number(token, whole=True) or abs(token) >= 1 << 31:
        raise SamplingError(f"logit_bias must map token ids to numbers, found {shown(token)} for an id")
    return int(token)


def _bias_value(token: Any, value: Any) -> float:
    if not _is_number(value) or not value < 1e30:  # nor is NaN
        raise SamplingError(
            f"logit_bias of token {token} must be a number (-inf bans the token, 100 all but forces it),"
            f" found {shown(value)}"
        )
    return float(value) if value > -1e30 else -math.inf


def _logprobs(asked: Any, top: int) -> bool:
    if asked is not None and not isinstance(asked, bool):
        raise SamplingError(f"logprobs must be True or False, found {shown(asked)}; top_logprobs takes how many")
    if asked is False and top > 0:
        raise SamplingError(f"top_logprobs={top} needs logprobs, found logprobs=False; leave it out, or say True")
    return bool(asked) or top > 0
