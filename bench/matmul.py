"""Times the native matmul of every instruction set beside what the machine can do: a plain read, int8 dot products.

    python bench/matmul.py                  # two threads, E2B's down projection: 1536 rows by 12288 columns
    python bench/matmul.py --threads 1 --format q8 --rows 24576 --cols 1536

One token is told in GB/s (weights are read once, from memory: the matrix is repeated until it exceeds the caches), many
tokens in GOP/s (two operations a multiply-add). Minimum of many; nothing else should run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gemsmith import kernels
from gemsmith.quant import GRIDS, packed_bytes

TOKENS = (1, 2, 4, 8, 16, 64, 512)
READ_BYTES = 512 << 20  # weights of one measurement of a single token


def fastest(work: Callable[[], object], seconds: float = 2.0) -> float:
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--format", choices=sorted(GRIDS), default="q4")
    parser.add_argument("--rows", type=int, default=1536)
    parser.add_argument("--cols", type=int, default=12288)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    native = kernels.native()
    one = packed_bytes(options.format, options.rows, options.cols)
    copies = max(1, READ_BYTES // one)
    rows = options.rows * copies if options.rows % 32 == 0 else options.rows
    packed = np.full(packed_bytes(options.format, rows, options.cols), 0x11, np.uint8)
    words = packed[: packed.size // 8 * 8].view(np.uint64)

    with ThreadPoolExecutor(options.threads) as threads:

        def shared(num_blocks: int, work: Callable[[int, int], object]) -> None:
            """Block ranges of equal length, one a thread; numpy and the kernels release the GIL."""
            edges = [num_blocks * i // options.threads for i in range(options.threads + 1)]
            list(threads.map(work, edges[:-1], edges[1:]))

        read = fastest(lambda: shared(words.size, lambda begin, end: words[begin:end].max()))
        print(f"plain read (numpy)  {packed.nbytes / read * 1e-9:6.1f} GB/s with {options.threads} threads")
        for isa in native.isa_names():
            for tokens in TOKENS:
                many = tokens > 8
                num_rows = options.rows if many else rows
                stride = -(-options.cols // 64) * 64
                codes = np.full((tokens, stride), 3, np.int8)
                scales = np.full((tokens, stride // 32), 0.01, np.float32)
                sums = np.full((tokens, stride // 32), 96, np.int32)
                out = np.empty((tokens, -(-num_rows // 32) * 32), np.float32)
                weights = packed[: packed_bytes(options.format, num_rows, options.cols)]
                head = (isa, options.format, weights, num_rows, options.cols, codes, scales, sums)

                def work(begin: int, end: int, head: tuple[object, ...] = head, out: np.ndarray = out) -> None:
                    native.matmul_quantized(*head, begin, end, out)

                seconds = fastest(lambda n=out.shape[1] // 32, work=work: shared(n, work))  # type: ignore[misc]
                gops = 2e-9 * tokens * num_rows * options.cols / seconds
                print(f"{isa:10} {tokens:4} tokens  {weights.nbytes / seconds * 1e-9:6.1f} GB/s  {gops:6.0f} GOP/s")


if __name__ == "__main__":
    main()
