"""How fast texts become ids and ids texts, here and in the `tokenizers` library, side by side.

    python bench/tokenizer.py model.gguf            # a table; also a tokenizer.json, or a folder that has one
    python bench/tokenizer.py model.gguf --check    # exit status 1 where this package is the slower one

Both have the same vocabulary, without added tokens: a text is content. Ids must be the same before they are timed. Runs
alternate, so that both meet the same machine, and medians are compared. Starting is timed in processes of their own:
from a table as a pack has it here, from a tokenizer.json there; memory is what the process grew by at its highest.
What a text of another length costs per character is shown for texts that have been known to cost n².
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import platform
import random
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))  # from a checkout, whatever folder it is started in

from gemsmith.kernels import native
from gemsmith.tokenizer import Tokenizer, load_tokenizer
from gemsmith.tokenizer.table import FILE_NAME, open_table
from gemsmith.tokenizer.table_writer import write_table

ROOT = Path(__file__).parents[1]
LENGTHS = (10_000, 100_000, 1_000_000, 10_000_000)
START = """
import sys, time
def grown():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
{imports}
before, start = grown(), time.perf_counter()
tokenizer = {load}
ids = tokenizer.encode("What is 17 + 25?")
print(time.perf_counter() - start, (grown() - before) / 1024)
"""
HERE = START.format(
    imports="from gemsmith.kernels import native; from gemsmith.tokenizer import load_tokenizer; native()",
    load="load_tokenizer(sys.argv[1])",
)
THERE = START.format(imports="import tokenizers", load="tokenizers.Tokenizer.from_file(sys.argv[2])")


class Row(NamedTuple):
    """One thing done, with both medians."""

    name: str
    ours: float
    theirs: float
    unit: str  # of which less is better, but for characters


def main(argv: Sequence[str] | None = None) -> int:
    options = parsed(argv)
    native()  # the error that names the command which builds it, where it is not built
    with tempfile.TemporaryDirectory() as folder:
        pack, file = prepared(options.source, Path(folder))
        rows = [*started(pack, file, options.runs), *rates(pack, file, options.runs)]
        grown = dict(costs(Tokenizer.from_table(open_table(pack / FILE_NAME))))
    print(report(rows, grown, options))
    slower = [row.name for row in rows if (row.ours < row.theirs) == row.unit.startswith("M char")]
    if options.check and slower:
        print(f"behind tokenizers: {', '.join(slower)}", file=sys.stderr)
    return int(options.check and bool(slower))


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="text to ids and back, here and in `tokenizers`")
    parser.add_argument("source", type=Path, help="a tokenizer.json, a GGUF file, or a folder with one of the first")
    parser.add_argument("--runs", type=int, default=7, help="of each, alternating (7)")
    parser.add_argument("--check", action="store_true", help="exit status 1 where this package is behind")
    return parser.parse_args(argv)


def prepared(source: Path, folder: Path) -> tuple[Path, Path]:
    """The same vocabulary for both: a folder with a table, and a tokenizer.json without added tokens."""
    tokenizer = load_tokenizer(source)
    pack, file = folder / "pack", folder / "tokenizer.json"
    pack.mkdir()
    write_table(pack / FILE_NAME, tokenizer.vocabulary)
    file.write_text(json.dumps(tokenizer.to_tokenizer_json() | {"added_tokens": []}), encoding="utf-8")
    return pack, file


# --- what is timed -------------------------------------------------------------------------------------------------


def started(pack: Path, file: Path, runs: int) -> list[Row]:
    times: tuple[list[tuple[float, ...]], list[tuple[float, ...]]] = ([], [])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    for _ in range(runs):
        for code, found in zip((HERE, THERE), times, strict=True):
            command = [sys.executable, "-c", code, str(pack), str(file)]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
            found.append(tuple(map(float, done.stdout.split())))
    (ours, our_mb), (theirs, their_mb) = ([median(column) for column in zip(*found, strict=True)] for found in times)
    return [Row("start", 1e3 * ours, 1e3 * theirs, "ms"), Row("memory", our_mb, their_mb, "MiB")]


def rates(pack: Path, file: Path, runs: int) -> Iterator[Row]:
    """Millions of characters a second."""
    import tokenizers

    ours, theirs = Tokenizer.from_table(open_table(pack / FILE_NAME)), tokenizers.Tokenizer.from_file(str(file))
    for name, text in texts().items():
        ids = ours.encode(text)
        if ids != theirs.encode(text).ids:
            raise SystemExit(f"{name}: the ids here and in tokenizers do not agree")
        encode = alternating(lambda text=text: ours.encode(text), lambda text=text: theirs.encode(text).ids, runs)
        yield Row(f"encode {name}", *(len(text) / seconds / 1e6 for seconds in encode), "M chars/s")
        decode = alternating(lambda ids=ids: ours.decode(ids), lambda ids=ids: theirs.decode(ids), runs)
        yield Row(f"decode {name}", *(len(text) / seconds / 1e6 for seconds in decode), "M chars/s")


def alternating(here: Callable[[], Any], there: Callable[[], Any], runs: int) -> tuple[float, float]:
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for function, taken in zip((here, there), times, strict=True):
            start = time.perf_counter()
            function()
            taken.append(time.perf_counter() - start)
    return median(times[0]), median(times[1])


def texts() -> dict[str, str]:
    """Half a million characters of each kind, or what there is."""
    library = Path(sysconfig.get_paths()["stdlib"])
    choose = random.Random(0)
    return {
        "prose": joined(sorted(ROOT.rglob("*.md"))),
        "code": joined(sorted(library.glob("*.py"))),
        "Chinese": "".join(map(chr, choose.choices(range(0x4E00, 0x9FA6), k=100_000))),
        "base64": base64.b64encode(choose.randbytes(75_000)).decode(),
    }


def joined(paths: Sequence[Path]) -> str:
    return "".join(path.read_text(encoding="utf-8", errors="replace") for path in paths)[:500_000]


def costs(tokenizer: Tokenizer) -> Iterator[tuple[str, list[float]]]:
    """Nanoseconds a character, by length."""
    kinds: dict[str, Callable[[int], str]] = {
        "one letter": lambda n: "a" * n,
        "spaces": lambda n: " " * n,
        "emoji": lambda n: "😀" * n,
        "random bytes": lambda n: random.Random(1).randbytes(n).decode("latin-1"),
        "random letters": lambda n: "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=n)),
        "base64": lambda n: base64.b64encode(random.Random(1).randbytes(3 * n // 4)).decode(),
    }
    for name, make in kinds.items():
        found = []
        for length in LENGTHS:
            text, times = make(length), []
            for _ in range(max(2, min(20, 1_000_000 // length))):
                start = time.perf_counter()
                tokenizer.encode(text)
                times.append(time.perf_counter() - start)
            found.append(1e9 * min(times) / len(text))
        yield name, found


# --- the report ----------------------------------------------------------------------------------------------------


def report(rows: list[Row], grown: dict[str, list[float]], options: argparse.Namespace) -> str:
    """The figures, and what they were measured on."""
    lines = [
        f"{datetime.now():%Y-%m-%d}, {platform.processor() or platform.machine()}, {os.cpu_count()} cores, load"
        f" {os.getloadavg()[0]:.1f}, Python {platform.python_version()}, tokenizers {version('tokenizers')}",
        f"{options.source.name}; medians of {options.runs} alternating runs",
        "",
        f"{'':18}{'gemsmith':>12}{'tokenizers':>12}",
        *(f"{row.name:18}{row.ours:12.1f}{row.theirs:12.1f}  {row.unit}" for row in rows),
        "",
        f"{'ns a character of':18}" + "".join(f"{length:>12,}" for length in LENGTHS),
        *(f"{name:18}" + "".join(f"{cost:12.0f}" for cost in found) for name, found in grown.items()),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
