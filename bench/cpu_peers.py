"""How fast gemsmith, llama.cpp and transformers run the same model on this machine's processor, side by side.

    python bench/random_checkpoint.py e2b weights
    python bench/cpu_peers.py weights/e2b-q4_0.gguf --checkpoint weights/e2b --llama-bench PATH --check

gemsmith and llama.cpp (its own `llama-bench`, of the release that llama-cpp-python 0.3.36 carries; built once, if no
PATH is given) take the same GGUF file, transformers the same shape in bfloat16. One engine runs at a time, in a process
of its own; engines take turns within every round, in the other order in every other one, so that all meet the same
machine. Before each figure, plain reading is measured: such machines change their speed for minutes at a time. Medians
are compared. Samples are written to bench/results after every round, with a table; a second run of a day gets a number.
`--pack file=PATH`, `q4=PATH` and `mix=PATH` are packed checkpoints whose memory is measured at 4,096 tokens of context.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from itertools import chain, count
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))  # from a checkout, whatever folder it is started in

from bench.claims import Claim
from gemsmith.errors import GemsmithError
from gemsmith.files import write_json, write_text
from gemsmith.kernels.limits import limits_apart
from gemsmith.runtime import probe
from gemsmith.version import __version__

HERE = Path(__file__).absolute().parent
RESULTS = HERE / "results"
LLAMA = "0.3.36"  # of llama-cpp-python, whose source distribution has llama.cpp in it
LLAMA_OPTIONS = {
    **dict.fromkeys(("GGML_NATIVE", "LLAMA_BUILD_TOOLS", "LLAMA_BUILD_COMMON"), "ON"),
    **dict.fromkeys(("LLAMA_CURL", "LLAMA_OPENSSL", "LLAMA_BUILD_TESTS", "LLAMA_BUILD_EXAMPLES"), "OFF"),
    **dict.fromkeys(("LLAMA_BUILD_SERVER", "LLAMA_USE_PREBUILT_UI"), "OFF"),
    "CMAKE_BUILD_TYPE": "Release",
}
CONTEXT = 4096  # at which memory is compared
ENGINES = ("gemsmith", "llama.cpp", "transformers")


class Cell(NamedTuple):
    """One thing that is timed: a prompt, or tokens behind `depth` others."""

    name: str
    prompt: int
    generate: int
    depth: int

    @property
    def words(self) -> list[str]:
        """For the commands of gemsmith and of transformers, which spell them alike."""
        return ["--prompt", f"{self.prompt}", "--generate", f"{self.generate}", "--depth", f"{self.depth}"]


CELLS = (
    Cell("prompt 512", 512, 0, 0),
    Cell("prompt 2048", 2048, 0, 0),
    Cell("generate 64", 0, 64, 0),
    Cell("generate 64 behind 8192", 0, 64, 8192),
)


@dataclass(frozen=True)
class Sample:
    """One figure of one engine, and what plain reading brought just before."""

    engine: str
    cell: str
    round: int
    tokens_per_s: float
    peak_rss_bytes: int
    read_bytes_per_s: float
    share: float | None = None  # gemsmith's own: of the limit, reading or arithmetic, measured around the figure


@dataclass
class Results:
    """All samples, and what they were measured on."""

    model: str
    settings: dict[str, Any]
    machine: dict[str, Any]
    versions: dict[str, str] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict)  # peak of each pack

    def of(self, engine: str, cell: str) -> list[Sample]:
        return [sample for sample in self.samples if (sample.engine, sample.cell) == (engine, cell)]

    def rate(self, engine: str, cell: str) -> float | None:
        found = [sample.tokens_per_s for sample in self.of(engine, cell)]
        return median(found) if found else None

    def ratio(self, cell: str) -> float | None:
        """gemsmith's rate over llama.cpp's."""
        ours, theirs = self.rate("gemsmith", cell), self.rate("llama.cpp", cell)
        return ours / theirs if ours and theirs else None

    def share(self, cell: str) -> float | None:
        found = [sample.share for sample in self.of("gemsmith", cell) if sample.share is not None]
        return median(found) if found else None

    def peak(self, engine: str) -> int | None:
        return max((sample.peak_rss_bytes for sample in self.samples if sample.engine == engine), default=None)


def main(argv: Sequence[str] | None = None) -> int:
    options = parsed(argv)
    if "llama.cpp" in options.engines and options.llama_bench is None:
        options.llama_bench = built_llama_bench(HERE.parent / "build" / f"llama-cpp-{LLAMA}")
    results = Results(options.gguf.stem, settings(options), machine())
    target = free_place(results)
    for number in range(options.rounds):
        measure_round(results, options, number)
        keep(results, target)
    for name, path in options.pack:
        say(f"memory of {name} at {CONTEXT:,} tokens")
        results.memory[name] = int(peak_of_pack(path, options.threads))
        keep(results, target)
    print(table(results))
    if not options.check:
        return 0
    broken = [claim for claim in CLAIMS[options.check](results) if not claim.holds]
    print(*broken, sep="\n", file=sys.stderr)
    return int(any(claim.found is not None or was_asked_for(claim, options.cell) for claim in broken))


def was_asked_for(claim: Claim, cells: Sequence[str] | None) -> bool:
    """Whether a run of these cells (None: all) should have found it; the memory of packs is a run's own choice."""
    return bool(claim.cells) and (cells is None or set(claim.cells) <= set(cells))


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="gemsmith beside llama.cpp and transformers on a processor")
    parser.add_argument("gguf", type=place, help="for gemsmith and llama.cpp")
    parser.add_argument("--checkpoint", type=place, help="for transformers: a folder with the same shape")
    parser.add_argument("--pack", type=named_path, action="append", default=[], help="name=PATH, for memory alone")
    parser.add_argument("--llama-bench", type=place, help="the program; built once if it is not named")
    parser.add_argument("--threads", type=int, default=2, help="of every engine (2)")
    parser.add_argument("--rounds", type=int, default=3, help="of each figure (3)")
    parser.add_argument("--slow-rounds", type=int, default=1, help="of those of transformers (1)")
    parser.add_argument("--warm-up", type=int, default=16, help="tokens gemsmith writes before timing (16)")
    parser.add_argument("--engine", action="append", choices=ENGINES, dest="engines", help="only this one")
    parser.add_argument("--cell", action="append", choices=[cell.name for cell in CELLS], help="only this one")
    parser.add_argument(
        "--check",
        nargs="?",
        const="e2b",
        choices=sorted(CLAIMS),
        help="exit status 1 if one is broken, or not measured in the cells asked for",
    )
    options = parser.parse_args(argv)
    options.engines = options.engines or [e for e in ENGINES if e != "transformers" or options.checkpoint]
    if "transformers" in options.engines and options.checkpoint is None:
        parser.error("transformers reads no such GGUF: give it --checkpoint FOLDER")
    return options


def place(text: str) -> Path:
    """A path as the person's own folder has it: programs are started in another."""
    return Path(text).absolute()


def named_path(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not name=PATH")
    return name, place(path)


# --- one round -----------------------------------------------------------------------------------------------------


def measure_round(results: Results, options: argparse.Namespace, number: int) -> None:
    """A sample of every engine for every cell; every other round begins with the last engine."""
    for cell in CELLS:
        if options.cell and cell.name not in options.cell:
            continue
        for engine in options.engines if number % 2 == 0 else reversed(options.engines):
            if engine == "transformers" and (cell.depth or number >= options.slow_rounds):
                continue  # minutes for each figure; they do not vary by what is to be shown
            say(f"round {number + 1} of {options.rounds}: {engine}, {cell.name}")
            read = limits_apart(options.threads).read_bytes_per_s
            rate, peak, share = SAMPLERS[engine](results, options, cell)
            results.samples.append(Sample(engine, cell.name, number, rate, peak, read, share))


Figures = tuple[float, int, float | None]  # tokens/s, peak bytes, share of a limit


def of_gemsmith(results: Results, options: argparse.Namespace, cell: Cell) -> Figures:
    words = ["--threads", f"{options.threads}", "--repeat", "1", "--warm-up", f"{options.warm_up}", "--json"]
    out, _ = output([sys.executable, "-m", "gemsmith", "bench", f"{options.gguf}", *cell.words, *words])
    facts = json.loads(out)
    results.versions["gemsmith"] = __version__
    results.settings["isa"] = facts["isa"]
    key, share = ("prompt", "arithmetic") if cell.prompt else ("generation", "bandwidth")
    return facts[f"{key}_tokens_per_s"], facts["peak_rss_bytes"], facts[f"{share}_share"]


def of_llama(results: Results, options: argparse.Namespace, cell: Cell) -> Figures:
    words = ["-p", f"{cell.prompt}", "-n", f"{cell.generate}", "-d", f"{cell.depth}", "-t", f"{options.threads}"]
    out, peak = output([f"{options.llama_bench}", "-m", f"{options.gguf}", *words, "-fa", "1", "-r", "1", "-o", "json"])
    (facts,) = json.loads(out)
    results.versions["llama.cpp"] = f"{facts['build_number']} ({facts['build_commit']})"
    return facts["avg_ts"], peak, None


def of_transformers(results: Results, options: argparse.Namespace, cell: Cell) -> Figures:
    script = [sys.executable, f"{HERE / 'cpu_transformers.py'}", f"{options.checkpoint}"]
    few = cell._replace(generate=min(cell.generate, 8))  # two tokens a second: 64 of them tell no more
    out, _ = output([*script, *few.words, "--threads", f"{options.threads}"])
    facts = json.loads(out)
    results.versions |= facts["versions"]
    return facts[f"{'prompt' if cell.prompt else 'generation'}_tokens_per_s"], facts["peak_rss_bytes"], None


SAMPLERS = dict(zip(ENGINES, (of_gemsmith, of_llama, of_transformers), strict=True))


def peak_of_pack(path: Path, threads: int) -> int:
    """The most memory that a conversation of `CONTEXT` tokens takes."""
    words = ["--prompt", f"{CONTEXT - 64}", "--generate", "64", "--depth", "0", "--repeat", "1", "--json"]
    room = ["--max-context", f"{CONTEXT}", "--threads", f"{threads}"]
    out, _ = output([sys.executable, "-m", "gemsmith", "bench", f"{path}", *words, *room])
    peak: int = json.loads(out)["peak_rss_bytes"]
    return peak


def output(command: list[str]) -> tuple[str, int]:
    """What a program prints, and the most memory it held, in bytes."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=HERE.parent)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        if process.returncode:
            last = err.read().decode(errors="replace").strip()[-2000:]
            raise SystemExit(f"{command[0]} ended with {process.returncode}:\n{last}")
        scale = 1 if sys.platform == "darwin" else 1024
        return out.read().decode(), usage.ru_maxrss * scale


# --- llama.cpp -----------------------------------------------------------------------------------------------------


def built_llama_bench(folder: Path) -> Path:
    """`llama-bench` of the release that llama-cpp-python carries, compiled for this machine the first time."""
    program = folder / "build" / "bin" / "llama-bench"
    if program.exists():
        return program
    folder.mkdir(parents=True, exist_ok=True)
    say(f"building llama-bench of llama-cpp-python {LLAMA}, once; this takes a few minutes")
    name = f"llama-cpp-python=={LLAMA}"
    fetch = f"pip download -q --no-deps --no-binary :all: {name} -d"
    output([sys.executable, "-m", *fetch.split(), f"{folder}"])
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    source = next(folder.glob(f"*-{LLAMA}")) / "vendor" / "llama.cpp"
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    settings = [f"-D{name}={value}" for name, value in LLAMA_OPTIONS.items()]
    output(["cmake", *generator, "-S", f"{source}", "-B", f"{folder / 'build'}", *settings])
    output(["cmake", "--build", f"{folder / 'build'}", "--target", "llama-bench", "--parallel", f"{os.cpu_count()}"])
    return program


# --- what is kept and shown ----------------------------------------------------------------------------------------


def e2b_claims(results: Results) -> Iterator[Claim]:
    """What is promised of the E2B shape."""
    near, far = "generate 64", "generate 64 behind 8192"
    yield Claim("prompt of 512, times llama.cpp", results.ratio("prompt 512"), 7, cells=("prompt 512",))
    yield Claim("prompt of 2,048, times llama.cpp", results.ratio("prompt 2048"), 7, cells=("prompt 2048",))
    yield Claim("generation, times llama.cpp", results.ratio(near), 1.6, cells=(near,))
    yield Claim("generation, share of plain reading", results.share(near), 0.85, cells=(near,))
    yield Claim("generation behind 8,192 tokens, times llama.cpp", results.ratio(far), 2.2, cells=(far,))
    first, last = results.rate("gemsmith", near), results.rate("gemsmith", far)
    kept = last / first if first and last else None
    yield Claim("generation behind 8,192 tokens, of that behind none", kept, 7 / 8, cells=(near, far))
    for name, most in (("file", 1.7), ("q4", 1.5), ("mix", 1.1)):
        peak = results.memory.get(name)
        yield Claim(f"GB of memory at {CONTEXT:,} tokens, {name}", peak and peak / 1e9, most, at_least=False)


def moe_claims(results: Results) -> Iterator[Claim]:
    """What is promised of the 26B-A4B shape."""
    peak = results.peak("gemsmith")
    yield Claim("generation, times llama.cpp", results.ratio("generate 64"), 1.4, cells=("generate 64",))
    yield Claim("GB of memory", peak and peak / 1e9, 18, at_least=False)


CLAIMS = {"e2b": e2b_claims, "26b-a4b": moe_claims}


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """How it is measured, without the places where things stand."""
    names = ("threads", "rounds", "slow_rounds", "warm_up", "engines")
    return {"gguf_bytes": options.gguf.stat().st_size, **{name: getattr(options, name) for name in names}}


def machine() -> dict[str, Any]:
    found = probe.processor()
    return {
        "processor": found.name,
        "threads": found.num_usable,
        "instructions": list(found.instructions),
        "memory": probe.total_memory(),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "load": os.getloadavg()[0],
    }


def free_place(results: Results) -> Path:
    """Where results go, without an ending: what an earlier run of this day has left is not written over."""
    name = f"cpu-peers-{results.model}-{date.today().isoformat()}"
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    return next(RESULTS / each for each in names if not (RESULTS / f"{each}.json").exists())


def keep(results: Results, place: Path) -> None:
    """Write all that was measured so far."""
    place.parent.mkdir(exist_ok=True)
    write_json(Path(f"{place}.json"), asdict(results))
    write_text(Path(f"{place}.md"), table(results) + "\n")


def table(results: Results) -> str:
    """Medians, and what they were measured on, in Markdown."""
    engines = [engine for engine in ENGINES if any(sample.engine == engine for sample in results.samples)]
    versions = ", ".join(f"{name} {value}" for name, value in sorted(results.versions.items()))
    found = results.machine
    lines = [
        f"{date.today().isoformat()}, {results.model}, {found['processor']}, {results.settings['threads']} threads,"
        f" {found['memory'] / 1e9:.0f} GB, load {found['load']:.1f} at the start; {versions}.",
        f"Medians of {results.settings['rounds']} rounds in alternation; tokens/s, with the least and the most.",
        "",
        f"| | {' | '.join(engines)} | times llama.cpp | share of the limit | plain reading, GB/s |",
        f"|---|{'---:|' * (len(engines) + 3)}",
    ]
    for cell in CELLS:
        reads = shown([s.read_bytes_per_s / 1e9 for s in results.samples if s.cell == cell.name])
        if not reads:  # not asked for
            continue
        rates = [shown([sample.tokens_per_s for sample in results.of(engine, cell.name)]) for engine in engines]
        ratio, share = results.ratio(cell.name), results.share(cell.name)
        ratio_and_share = [f"{ratio:.2f}" if ratio else "", f"{share:.0%}" if share else ""]
        lines.append(f"| {' | '.join([cell.name, *rates, *ratio_and_share, reads])} |")
    peaks = [f"{(results.peak(engine) or 0) / 1e9:.2f}" for engine in engines]
    lines.append(f"| {' | '.join(['memory at its peak, GB', *peaks, '', '', ''])} |")
    if results.memory:
        lines += ["", f"| pack | memory at {CONTEXT:,} tokens, GB |", "|---|---:|"]
        lines += [f"| {name} | {peak / 1e9:.2f} |" for name, peak in results.memory.items()]
    return "\n".join(lines)


def shown(values: list[float]) -> str:
    """A median between the least and the most."""
    if not values:
        return ""
    return f"{median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except GemsmithError as error:
        sys.exit(f"error: {error}")
