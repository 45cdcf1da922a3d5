"""The numeric self-test: every runtime that is available against the reference, on a small model of every kind.

The reference is the definition of each operation, in float32 on the processor, one shot, without kernels or cache;
it is itself compared with numbers that another implementation computed (`expected`). A runtime must then say the same
in one shot, in chunks past the sliding window, step by step, beside another sequence, and on a fork.

Limits. float32: the largest difference may be 5e-4 of the logits' spread; summing in another order gives 2e-5 here,
and a norm that is wrong by 1 % gives 1e-2. bfloat16 has 8 bits, so a logit is off by 1 to 4 % of the spread, and in a
mixture of experts a close race may end differently in a few rows: three rows of four must be within 10 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np

from gemsmith.config import ModelConfig
from gemsmith.errors import GemsmithError
from gemsmith.formats.tensor import TensorView
from gemsmith.runtime.candidates import Candidate
from gemsmith.runtime.expected import EXPECTED, IDS, ROWS
from gemsmith.runtime.protocol import Run, Runtime
from gemsmith.runtime.select import open_runtime
from gemsmith.runtime.subjects import Subject

LIMITS = {"float32": 5e-4, "bfloat16": 0.10}
NATIVE = (("exact", "float32"), ("q8", "bfloat16"))  # how subjects are packed, and the measure that holds then
EXPECTED_LIMIT = 5e-4
CHUNKS = (5, 11, 1, 130, 2)
NUM_STEPS = 24  # tokens taken one by one at the end of a prompt

Ways = Mapping[str, Callable[[Runtime, Sequence[int]], np.ndarray]]


@dataclass(frozen=True)
class Check:
    """One comparison. Errors are fractions of the spread of the reference's logits."""

    model: str
    way: str
    error: float
    limit: float
    kl: float = 0.0  # mean divergence of the distributions, in nats
    agreement: float = 1.0  # share of rows with the same likeliest token
    problem: str = ""

    @property
    def is_ok(self) -> bool:
        return not self.problem and self.error <= self.limit


def check_reference(subject: Subject, logits: np.ndarray) -> Check:
    """The reference against the numbers of `expected`, for a subject that has some."""
    wanted = np.asarray(EXPECTED[subject.name])
    gap = float(np.abs(logits[np.ix_(ROWS, IDS)] - wanted).max() / logits.std())
    return Check(subject.name, "reference", gap if math.isfinite(gap) else math.inf, EXPECTED_LIMIT)


def check_runtime(
    candidate: Candidate, subject: Subject, reference: np.ndarray, ways: Iterable[str] = ()
) -> list[Check]:
    """`ways`, or else every way, of computing the subject's logits on `candidate`; what raises is a problem."""
    try:
        runtime = open_runtime(
            subject.text,
            subject.tensors,
            backend=candidate.backend,
            dtype=candidate.dtype,
            device=candidate.device,
        )
    except Exception as error:
        return [Check(subject.name, "loading", math.inf, 0, problem=_said(error))]
    return [_check(way, runtime, candidate.dtype, subject, reference) for way in ways or WAYS]


def check_native(subject: Subject, reference: np.ndarray) -> list[Check]:
    """Every way on the native engine: its float kernels with the subject's own weights, and those of 8 bits."""
    from gemsmith.formats.pack import pack_in_memory
    from gemsmith.runtime.cpu import open_cpu_runtime

    checks: list[Check] = []
    for policy, measure in NATIVE:
        try:
            runtime = open_cpu_runtime(pack_in_memory(_Source(subject), policy), kv="f32")
        except Exception as error:
            return [Check(subject.name, "loading", math.inf, 0, problem=_said(error))]
        checks += [_check(way, runtime, measure, subject, reference) for way in WAYS]
    return checks


def check_native_alone(subject: Subject) -> Check:
    """The native engine against the numbers of `expected`: what can be told without torch."""
    from gemsmith.formats.pack import pack_in_memory
    from gemsmith.runtime.cpu import open_cpu_runtime

    try:
        runtime = open_cpu_runtime(pack_in_memory(_Source(subject), "exact"), kv="f32")
        return check_reference(subject, one_shot(runtime, subject.ids))
    except Exception as error:
        return Check(subject.name, "one shot", math.inf, 0, problem=_said(error))


class _Source:
    """A subject as something to pack."""

    generation_config = tokenizer_path = chat_template = None

    def __init__(self, subject: Subject):
        self.config, self._tensors = ModelConfig.of(subject.text), subject.tensors

    def __getitem__(self, name: str) -> TensorView:
        return self._tensors[name]


def compare(got: np.ndarray, wanted: np.ndarray, dtype: str) -> tuple[float, float, float]:
    """Error by the measure of `dtype`, mean KL divergence, share of rows with the same likeliest token."""
    if got.shape != wanted.shape or not np.isfinite(got).all():
        return math.inf, math.inf, 0.0
    spread = float(wanted.std())
    if dtype == "float32":
        error = float(np.abs(got - wanted).max()) / spread
    else:
        rows = np.sqrt(np.square(got - wanted, dtype=np.float64).mean(-1)) / spread
        error = float(np.quantile(rows, 0.75))
    p, q = _log_softmax(wanted), _log_softmax(got)
    kl = float((np.exp(p) * (p - q)).sum(-1).mean())
    return error, max(kl, 0.0), float((got.argmax(-1) == wanted.argmax(-1)).mean())


def one_shot(runtime: Runtime, ids: Sequence[int]) -> np.ndarray:
    return _in_parts(runtime, ids, [len(ids)])


def in_chunks(runtime: Runtime, ids: Sequence[int]) -> np.ndarray:
    return _in_parts(runtime, ids, cycle(CHUNKS))


def step_by_step(runtime: Runtime, ids: Sequence[int]) -> np.ndarray:
    steps = min(NUM_STEPS, len(ids) - 1)
    return _in_parts(runtime, ids, [len(ids) - steps, *[1] * steps])


def beside_another(runtime: Runtime, ids: Sequence[int]) -> np.ndarray:
    """Two sequences of unlike length in each step; the other one must not leak into this one."""
    this, other = runtime.new(), runtime.new()
    half = len(ids) // 2
    parts = []
    for mine, theirs in ((ids[:half], ids[1:4]), (ids[half:], ids[4:5])):
        batch = [Run(other, theirs, [0]), Run(this, mine, range(len(mine)))]
        parts.append(runtime.step(batch).logits[1:])
    runtime.free(this)
    runtime.free(other)
    return np.concatenate(parts)


def on_a_fork(runtime: Runtime, ids: Sequence[int]) -> np.ndarray:
    """A fork goes on where its origin went elsewhere."""
    origin, half = runtime.new(), len(ids) // 2
    first = runtime.step([Run(origin, ids[:half], range(half))]).logits
    fork = runtime.fork(origin)
    runtime.step([Run(origin, ids[:3], [2])]).token_ids  # noqa: B018 - computed when asked for
    second = runtime.step([Run(fork, ids[half:], range(len(ids) - half))]).logits
    runtime.free(origin)
    runtime.free(fork)
    return np.concatenate([first, second])


WAYS: Ways = {
    "one shot": one_shot,
    "in chunks": in_chunks,
    "step by step": step_by_step,
    "beside another": beside_another,
    "on a fork": on_a_fork,
}


def _check(way: str, runtime: Runtime, dtype: str, subject: Subject, reference: np.ndarray) -> Check:
    limit = LIMITS[dtype]
    try:
        got = WAYS[way](runtime, subject.ids)
    except Exception as raised:
        return Check(subject.name, way, math.inf, limit, problem=_said(raised))
    error, kl, agreement = compare(got, reference, dtype)
    problem = "" if math.isfinite(error) else "NaN or infinity"
    return Check(subject.name, way, error, limit, kl, agreement, problem)


def _in_parts(runtime: Runtime, ids: Sequence[int], sizes: Iterable[int]) -> np.ndarray:
    sequence, start, parts = runtime.new(), 0, []
    for size in sizes:
        part = ids[start : start + size]
        parts.append(runtime.step([Run(sequence, part, range(len(part)))]).logits)
        start += size
        if start >= len(ids):
            break
    runtime.free(sequence)
    return np.concatenate(parts)


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return result


def _said(error: Exception) -> str:
    text = f"{error}" if isinstance(error, GemsmithError) else f"{type(error).__name__}: {error}"
    return (text.splitlines() or [repr(error)])[0][:200]
