"""How fast a runtime reads a prompt and writes tokens, beside what this machine could do at most.

The two are timed apart, each on a sequence that already holds `depth` tokens, as llama.cpp's `llama-bench` does, so
that figures can be compared. Ids are drawn at random, those that are fed back too: a model that repeats itself would
find its experts in the processor's cache. The likeliest token is computed after each step, as whoever generates must.

All these ids are read once before anything is timed. Rows of a per-layer table stay on the disk until a token needs
them, and experts of a mapped file likewise: what is timed is the processor, not the disk, as with programs that read
the whole file at their start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np

from gemsmith.config import ModelConfig
from gemsmith.config.cost import bytes_per_generated_token, least_flops_per_prompt
from gemsmith.kernels.limits import Limits
from gemsmith.runtime.cpu.kv import position_bytes
from gemsmith.runtime.places import Placeholders
from gemsmith.runtime.protocol import Run, Runtime

CHUNK = 512  # tokens a step when a cache is filled, so that Ctrl-C is heard
FIRST_PLAIN_ID = 256  # control tokens of released vocabularies have smaller ids
SEED = 0

During = Callable[[str], AbstractContextManager[None]]  # says what is going on while it goes on


@dataclass(frozen=True)
class Work:
    """What is timed: tokens read, tokens written, and how many stand in the cache before either begins."""

    prompt: int
    generate: int
    depth: int

    @property
    def context(self) -> int:
        """Tokens that a sequence must have room for."""
        return self.depth + max(self.prompt, self.generate)


@dataclass(frozen=True)
class Timing:
    """One repeat, in seconds, and the machine's limits around it: the better of those before it and after it."""

    prompt_s: float | None
    generate_s: float | None
    limits: Limits | None


@dataclass(frozen=True)
class Speed:
    """Repeats of one kind of work, and what it costs by the model's shape and its weights' real sizes."""

    work: Work
    timings: tuple[Timing, ...]
    flops_per_prompt: int  # at the least: see `least_flops_per_prompt`
    bytes_per_generated_token: float

    @property
    def prompt_rates(self) -> list[float]:
        """Tokens a second of each repeat."""
        return [self.work.prompt / timing.prompt_s for timing in self.timings if timing.prompt_s]

    @property
    def generation_rates(self) -> list[float]:
        return [self.work.generate / timing.generate_s for timing in self.timings if timing.generate_s]

    @property
    def time_to_first_token_s(self) -> float | None:
        """From the prompt's ids to the first token after it."""
        return middle(timing.prompt_s for timing in self.timings if timing.prompt_s)

    @property
    def arithmetic_share(self) -> float | None:
        """Of the 8-bit products that the cores could have summed in the time that the prompt took."""
        both = [(timing.prompt_s, timing.limits) for timing in self.timings]
        return middle(self.flops_per_prompt / s / limits.int8_ops_per_s for s, limits in both if s and limits)

    @property
    def bandwidth_share(self) -> float | None:
        """Of the bytes that plain reading could have brought in the time that generation took."""
        total, both = (
            self.bytes_per_generated_token * self.work.generate,
            [(t.generate_s, t.limits) for t in self.timings],
        )
        return middle(total / s / limits.read_bytes_per_s for s, limits in both if s and limits)


def middle(values: Iterator[float]) -> float | None:
    """The median; None of nothing."""
    found = list(values)
    return median(found) if found else None


@contextmanager
def in_silence(_: str) -> Iterator[None]:
    yield


def measure(
    runtime: Runtime,
    config: ModelConfig,
    work: Work,
    *,
    repeats: int,
    warm_up: int,
    limits: Callable[[], Limits | None] = lambda: None,
    during: During = in_silence,
    kv: str | None = None,
) -> Speed:
    """Time `work`, after all its ids have been read once and `warm_up` more have been written; these do not count.

    `kv` is what keys and values are kept in (see `runtime.cpu.kv`), for the bytes that a token reads.
    """
    ids = _Ids(config)
    prompt, fed = ids(work.prompt), ids(work.generate)
    with during(f"putting {work.depth:,} tokens into the cache"):
        base = _filled(runtime, ids, work.depth)
    try:
        with during("warming up"):
            _timed_prompt(runtime, base, prompt)
            _timed_prompt(runtime, base, fed)
            _timed_generation(runtime, base, ids(warm_up))
        timings = []
        with during("measuring what this machine can do"):
            before = limits()
        for i in range(repeats):
            with during(f"measuring, {i + 1} of {repeats}"):
                prompt_s = _timed_prompt(runtime, base, prompt)
                generate_s = _timed_generation(runtime, base, fed)
                after = limits()
            timings.append(Timing(prompt_s, generate_s, _better(before, after)))
            before = after
    finally:
        runtime.free(base)
    middle_of_generation = work.depth + work.generate // 2
    return Speed(
        work,
        tuple(timings),
        least_flops_per_prompt(config, work.prompt, start=work.depth) if work.prompt else 0,
        bytes_per_generated_token(
            config, runtime.weight_bytes, middle_of_generation, partial(position_bytes, kv=kv) if kv else None
        ),
    )


class _Ids:
    """Random ids of plain tokens."""

    def __init__(self, config: ModelConfig):
        text, soft = config.text, Placeholders.of(config)
        first = FIRST_PLAIN_ID if text.num_readable_ids > 2 * FIRST_PLAIN_ID else 0
        self._plain = np.setdiff1d(np.arange(first, text.num_readable_ids), (*soft.vision, *soft.audio))
        self._rng = np.random.default_rng(SEED)

    def __call__(self, count: int) -> list[int]:
        drawn: list[int] = self._rng.choice(self._plain, count).tolist()
        return drawn


def _filled(runtime: Runtime, ids: _Ids, depth: int) -> int:
    """A sequence that holds `depth` tokens."""
    sequence = runtime.new()
    try:
        for start in range(0, depth, CHUNK):
            runtime.step([Run(sequence, ids(min(CHUNK, depth - start)), ())])
    except BaseException:
        runtime.free(sequence)
        raise
    return sequence


def _timed_prompt(runtime: Runtime, base: int, ids: list[int]) -> float | None:
    """Seconds from ids to the likeliest next token."""
    if not ids:
        return None
    sequence = runtime.fork(base)
    try:
        start = time.perf_counter()
        _ = runtime.step([Run(sequence, ids, [len(ids) - 1])]).token_ids  # a result is computed when asked for
        return time.perf_counter() - start
    finally:
        runtime.free(sequence)


def _timed_generation(runtime: Runtime, base: int, ids: list[int]) -> float | None:
    """Seconds that steps of one token each take."""
    if not ids:
        return None
    sequence = runtime.fork(base)
    try:
        start = time.perf_counter()
        for token in ids:
            _ = runtime.step([Run(sequence, [token], [0])]).token_ids
        return time.perf_counter() - start
    finally:
        runtime.free(sequence)


def _better(before: Limits | None, after: Limits | None) -> Limits | None:
    """What the machine could have done meanwhile: it may have been busy with something else during one of the two."""
    if before is None or after is None:
        return after or before
    read = max(before.read_bytes_per_s, after.read_bytes_per_s)
    return Limits(read, max(before.int8_ops_per_s, after.int8_ops_per_s), after.int8_instruction)
