"""Milliseconds of E2B's attention: one generated token and whole prompts, per K/V format, instruction set and threads.

    python bench/attention.py [--rounds 30] [--isa avx512 ...]

A token: 28 sliding layers (8 heads of 256, window 512) and 7 full ones (8 heads of 512) over one K/V head, each with a
cache of its own, so that together they are read from memory as in a model. A prompt: the 12 sliding and 2 full layers
that prompts go through (the others share keys and values). Least of many rounds; nothing else should run. Beside it:
multiply-adds and bytes, so that the figures can be held against the machine's limits (gemsmith bench prints those).
"""

from __future__ import annotations

import argparse
from types import ModuleType
from typing import Any

import numpy as np

from gemsmith import kernels

HEADS, WINDOW, FULL_DIM, SLIDING_DIM = 8, 512, 512, 256
BYTES = {"f32": 4, "bf16": 2, "q8": 1}


def filled(native: ModuleType, kind: str, head_dim: int, window: int, length: int) -> Any:
    """A cache of random keys and values up to `length`; of a ring, the last that it holds."""
    cache = native.LayerCache(kind, 1, head_dim, window, 256)
    values = np.random.default_rng(0).standard_normal((min(length, 1024), 1, head_dim)).astype(np.float32)
    for at in range(0, length, len(values)):
        part = values[: length - at]
        cache.append(native.isa_names()[0], at, part, part)
    return cache


def least_ms(
    native: ModuleType, caches: list[Any], isa: str, case: tuple[int, int], rows: np.ndarray, threads: int, rounds: int
) -> float:
    """One round over all caches, each row seeing what came before it. A case is a head's width and a window."""
    head_dim, window = case
    end = rows + 1
    first = np.maximum(0, end - window) if window else np.zeros_like(end)
    queries = np.random.default_rng(1).normal(0, head_dim**-0.5, (len(rows), HEADS, head_dim)).astype(np.float32)
    return 1000 * min(native.attention_seconds(caches, isa, queries, first, end, threads, rounds))


def main() -> None:
    """Print one line per case."""
    native = kernels.native()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--isa", nargs="+", default=native.isa_names())
    parser.add_argument("--format", nargs="+", default=list(BYTES), choices=list(BYTES))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    options = parser.parse_args()
    print("case              format isa       threads   full ms  sliding ms  million multiply-adds  MB of K/V")
    for kind in options.format:
        for name, rows in {
            "token at 0": np.array([0]),
            "token at 8192": np.array([8191]),
            "prompt of 512": np.arange(512),
            "prompt of 2048": np.arange(2048),
        }.items():
            length, is_token = int(rows[-1]) + 1, len(rows) == 1
            num_full, num_sliding = (7, 28) if is_token else (2, 12)
            # a prompt appends all of its rows at once, so its ring holds all of them
            full = [filled(native, kind, FULL_DIM, 0, length) for _ in range(num_full)]
            window = WINDOW if is_token else 0
            sliding = [filled(native, kind, SLIDING_DIM, window, length) for _ in range(num_sliding)]
            seen, seen_sliding = int((rows + 1).sum()), int(np.minimum(rows + 1, WINDOW).sum())
            products = 2 * HEADS * (num_full * seen * FULL_DIM + num_sliding * seen_sliding * SLIDING_DIM) / 1e6
            in_rings = min(length, WINDOW) if is_token else length
            held = num_full * length * FULL_DIM + num_sliding * in_rings * SLIDING_DIM
            for isa in options.isa:
                for threads in options.threads:
                    rounds = options.rounds if is_token else max(2, options.rounds // 10)
                    ms = [
                        least_ms(native, caches, isa, case, rows, threads, rounds)
                        for caches, case in ((full, (FULL_DIM, 0)), (sliding, (SLIDING_DIM, WINDOW)))
                    ]
                    cost = f"{products:22.1f} {2 * held * BYTES[kind] / 1e6:10.1f}"
                    print(f"{name:17} {kind:6} {isa:9} {threads:7} {ms[0]:9.2f} {ms[1]:11.2f} {cost}", flush=True)


if __name__ == "__main__":
    main()
