"""Cuts a long sound into pieces that a model can hear, where it is quiet. Needs numpy only; decodes nothing.

Law: the pieces, one after another, are the whole; none is longer than asked; the same sound gives the same pieces. A
piece ends in the middle of the quietest stretch of the last third of what may still belong to it, so that few words are
cut in two; a sound as loud everywhere (or as silent) is cut as late as may be.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from gemsmith.errors import RequestError
from gemsmith.media.prepared import SAMPLE_RATE, Waveform

STEP = SAMPLE_RATE // 100  # loudness is measured every 10 ms ...
QUIET = 30  # ... and a place is as quiet as the 300 ms around it: shorter rests lie inside words
SEARCHED = 1 / 3  # of the longest piece, at its end: where a cut is looked for
FLOOR = 1e-4  # -80 dB: below it everything is as quiet
SHORTEST = SAMPLE_RATE // 2  # samples a last piece has at least, where the piece before can spare them


def cut(waveform: Waveform, most_seconds: float = 30.0) -> tuple[Waveform, ...]:
    """Pieces of at most `most_seconds`; the sound itself if it is no longer than that."""
    if not 1 <= most_seconds < math.inf:
        raise RequestError(f"pieces of a sound are 1 s long or longer, and {most_seconds!r} s were asked for")
    edges = _edges(waveform.samples, int(most_seconds * SAMPLE_RATE))
    if len(edges) == 2:
        return (waveform,)
    return tuple(Waveform(waveform.samples[a:b]) for a, b in pairwise(edges))


def starts(pieces: tuple[Waveform, ...]) -> tuple[float, ...]:
    """When each piece begins, in seconds from the beginning of the whole."""
    lengths = [len(piece.samples) for piece in pieces]
    return tuple(sum(lengths[:k]) / SAMPLE_RATE for k in range(len(lengths)))


def _edges(samples: np.ndarray, most: int) -> list[int]:
    edges = [0]
    while len(samples) - edges[-1] > most:
        start = edges[-1]
        # the last piece keeps something to hear: two samples alone would be no sound to a model
        latest = min(start + most, len(samples) - SHORTEST)
        earliest = min(start + int(most * (1 - SEARCHED)), latest)
        edges.append(earliest + _quietest(samples[earliest:latest]))
    return [*edges, len(samples)]


def _quietest(samples: np.ndarray) -> int:
    """The middle of the quietest stretch; the end where no place is quieter than another."""
    count = len(samples) // STEP
    if count <= QUIET:
        return len(samples)
    power = np.square(samples[: count * STEP].astype(np.float64)).reshape(count, STEP).mean(1)
    around = np.convolve(power, np.full(QUIET, 1 / QUIET), mode="valid")  # [count - QUIET + 1]
    level = np.log10(np.maximum(around, FLOOR**2)) * 10  # dB
    quiet = np.flatnonzero(level <= level.min() + 1)  # within 1 dB of the quietest
    if len(quiet) == len(level):
        return len(samples)
    return int(_longest_run(quiet) + QUIET / 2) * STEP


def _longest_run(numbers: np.ndarray) -> float:
    """The middle of the longest run of consecutive numbers; of runs as long, the last."""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    longest = max(len(run) for run in runs)
    last = [run for run in runs if len(run) == longest][-1]
    return float(last[0] + last[-1]) / 2
