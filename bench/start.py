"""How long a person waits, from the command to the first letter, and what packing takes.

    python bench/random_checkpoint.py e2b weights --vocabulary VOCABULARY.gguf
    gemsmith quantize weights/e2b-q4_0.gguf --output e2b-pack
    python bench/start.py --pack e2b-pack --source weights/e2b --check

pebble always: `gemsmith run pebble "…"` from start to end, and its tokens/s. `--pack`: the first letter of an answer to
ten tokens. `--source`: seconds and memory of `gemsmith quantize SOURCE --to q4`, into a folder that is removed again.
Every command runs in a process of its own, imports and all, with files that were read before; medians of `--rounds`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))  # from a checkout, whatever folder it is started in

from bench.claims import Claim
from gemsmith.runtime import probe
from gemsmith.version import __version__

TEN_TOKENS = "The quick brown fox jumps over it"  # seven, and a turn around them
LIMITS = {
    "pebble, from start to end, s": (0.5, False),
    "pebble, tokens/s": (500, True),
    "first letter of the pack, s": (0.8, False),
    "memory of packing at its peak, GB": (2.5, False),
}


class Done(NamedTuple):
    """A command that has ended well."""

    first_s: float  # until its first byte
    whole_s: float
    peak_bytes: int
    said: bytes


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="from the command to the first letter, and what packing takes")
    parser.add_argument("--pack", type=Path, help="a packed checkpoint, E2B's shape with the real vocabulary")
    parser.add_argument("--source", type=Path, help="a checkpoint to pack, E2B's shape in safetensors")
    parser.add_argument("--rounds", type=int, default=7, help="of each start (7)")
    parser.add_argument("--check", action="store_true", help="exit status 1 if one limit is broken")
    options = parser.parse_args(argv)
    question = ("run", "pebble", "What is 17 + 25?")
    found = {
        "pebble, from start to end, s": middle(options.rounds, lambda: gemsmith(*question).whole_s),
        "pebble, tokens/s": json.loads(gemsmith("bench", "pebble", "--json").said)["generation_tokens_per_s"],
    }
    if options.pack:
        ask = ("run", f"{options.pack}", TEN_TOKENS, "--max-tokens", "1")
        found["first letter of the pack, s"] = middle(options.rounds, lambda: gemsmith(*ask).first_s)
    if options.source:
        packed = packing(options.source)
        found |= {"packing, s": packed.whole_s, "memory of packing at its peak, GB": packed.peak_bytes / 1e9}
    cores = probe.processor()
    print(f"{time.strftime('%Y-%m-%d')}, {cores.name}, {cores.num_usable} threads, gemsmith {__version__}")
    for name, value in found.items():
        print(f"  {name:<40} {value:10.2f}")
    claims = [Claim(name, found[name], limit, at_least) for name, (limit, at_least) in LIMITS.items() if name in found]
    broken = [claim for claim in claims if not claim.holds]
    if options.check and broken:
        print(*broken, sep="\n", file=sys.stderr)
    return int(options.check and bool(broken))


def middle(rounds: int, measure: Callable[[], float]) -> float:
    """The median of so many, and one before them that warms up the disk."""
    measure()
    return median(measure() for _ in range(rounds))


def packing(source: Path) -> Done:
    """`gemsmith quantize`, beside the source, so that the disk is the same."""
    with tempfile.TemporaryDirectory(dir=source.absolute().parent) as folder:
        return gemsmith("quantize", f"{source}", "--to", "q4", "--output", f"{folder}/pack")


def gemsmith(*words: str) -> Done:
    """One command as a shell starts it: bytecode is kept, as after any installation."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    program = shutil.which("gemsmith", path=Path(sys.executable).parent) or sys.exit("gemsmith is not installed here")
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen([program, *words], env=environment, stdout=subprocess.PIPE, stderr=errors) as process:
            assert process.stdout is not None
            said = process.stdout.read(1)
            first_s = time.perf_counter() - begin
            said += process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            whole_s = time.perf_counter() - begin
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            sys.exit(f"gemsmith {' '.join(words)} failed: {errors.read()[-2000:].decode(errors='replace')}")
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    return Done(first_s, whole_s, usage.ru_maxrss * unit, said)


if __name__ == "__main__":
    sys.exit(main())
