"""`gemsmith bench MODEL`: how fast a model reads and writes, and how much that is of what this machine could do."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from gemsmith.cli import options

if TYPE_CHECKING:
    from gemsmith.engine.model import Model
    from gemsmith.kernels.limits import Limits
    from gemsmith.runtime.speed import Speed

EPILOG = """\
examples:
  gemsmith bench pebble
  gemsmith bench ./e2b.gguf --prompt 2048 --generate 64 --threads 2
  gemsmith bench e2b --prompt 0 --depth 8192   # written after 8,192 others
  gemsmith bench pebble --json > speed.json

Reading a prompt and writing tokens are timed apart; both begin with --depth
tokens in the cache, and all tokens have been read once before, so that none is
waited for on the disk. Figures are medians. The shares say how much of the time
the machine's memory or cores needed at the least, measured in the same run: the
best of five plain reads of 2 GB, and the best of five loops of 8-bit products.
"""
READ_SHARE_OF_MEMORY = 4  # the reads take at most this part of what is free
PACKAGES = ("torch", "numpy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `bench` understands."""
    parser.epilog = EPILOG
    options.add_model(parser, "the model to measure")
    parser.add_argument("--prompt", type=int, default=512, metavar="N", help="tokens to read; 0 for none (512)")
    parser.add_argument("--generate", type=int, default=64, metavar="N", help="tokens to write; 0 for none (64)")
    parser.add_argument("--depth", type=int, default=0, metavar="N", help="tokens in the cache before either (0)")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="how often each is timed (3)")
    parser.add_argument("--warm-up", type=int, default=16, metavar="N", help="tokens to write before timing (16)")
    parser.add_argument("--backend", metavar="NAME", help="the engine to measure (the one that `run` would choose)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, with every repeat in it")
    options.add_loading(parser)


def run(args: argparse.Namespace) -> int:
    """Measure, then print."""
    if min(args.prompt, args.generate, args.depth, args.warm_up) < 0 or not args.prompt + args.generate:
        args.usage_error("--prompt, --generate, --depth and --warm-up count tokens, and there must be some to time")
    if args.repeat < 1:
        args.usage_error("--repeat must be at least 1")
    facts = measured(args)
    if args.json:
        print(json.dumps(facts, indent=2))
    else:
        print("\n".join(page(facts)))
    return 0


def measured(args: argparse.Namespace) -> dict[str, Any]:
    """Everything, as JSON has it."""
    from gemsmith.cli.output import patience
    from gemsmith.cli.packing import ensure_ready
    from gemsmith.runtime import probe
    from gemsmith.runtime.speed import Work, measure

    work = Work(args.prompt, args.generate, args.depth)
    loading = {"backend": args.backend, **options.loading(args)}
    ensure_ready(args.model, loading)
    start = time.perf_counter()
    with patience(f"loading {args.model}"):
        model = loaded(args.model, loading, max(work.context, work.depth + args.warm_up))
    load_s = time.perf_counter() - start
    loading["threads"] = getattr(model.runtime, "threads", loading.get("threads") or probe.default_threads())
    limits = limits_of(loading["threads"])
    speed = measure(
        model.runtime,
        model.config,
        work,
        repeats=args.repeat,
        warm_up=args.warm_up,
        limits=limits,
        during=patience,
        kv=loading.get("kv"),
    )
    peak = probe.peak_memory()
    settings = {"repeat": args.repeat, "warm_up": args.warm_up, **loading, "max_context": model.max_context}
    return figures(speed, load_s, peak) | {"model": args.model, "runtime": model.runtime.name} | around(settings, work)


def loaded(source: str, loading: dict[str, Any], context: int) -> Model:
    """The model, with room for the tokens that will stand in its cache, and no more unless somebody asked for more."""
    from gemsmith.engine import load
    from gemsmith.errors import ContextLengthError

    model = load(source, **{"max_context": context, **loading})
    if context > model.max_context:
        raise ContextLengthError(context, model.max_context, model.config.text.max_position_embeddings)
    return model


def limits_of(threads: int) -> Any:
    """What measures this machine's limits; after it was told why once, nothing where they cannot be measured."""
    from gemsmith.cli.output import note
    from gemsmith.errors import GemsmithError
    from gemsmith.kernels.limits import READ_BYTES, limits_apart
    from gemsmith.runtime.probe import available_memory

    told: list[str] = []

    def limits() -> Limits | None:
        if told:
            return None
        try:
            return limits_apart(threads, min(READ_BYTES, available_memory() // READ_SHARE_OF_MEMORY))
        except GemsmithError as error:
            told.append(str(error))
            note(f"no shares of this machine's limits: {error}")
            return None

    return limits


def figures(speed: Speed, load_s: float, peak: int) -> dict[str, Any]:
    """What was measured; null where it was not."""
    from gemsmith.runtime.speed import middle

    prompt, generation = speed.prompt_rates, speed.generation_rates
    found = [timing.limits for timing in speed.timings if timing.limits]
    return {
        "prompt_tokens_per_s": middle(iter(prompt)),
        "generation_tokens_per_s": middle(iter(generation)),
        "time_to_first_token_s": speed.time_to_first_token_s,
        "load_s": load_s,
        "peak_rss_bytes": peak,
        "bandwidth_share": speed.bandwidth_share,
        "arithmetic_share": speed.arithmetic_share,
        "limits": {
            "read_bytes_per_s": middle(limits.read_bytes_per_s for limits in found),
            "int8_ops_per_s": middle(limits.int8_ops_per_s for limits in found),
            "int8_instruction": found[0].int8_instruction if found else None,
        },
        "costs": {
            "bytes_per_generated_token": round(speed.bytes_per_generated_token),
            "multiply_adds_per_prompt_token": speed.flops_per_prompt // 2 // max(speed.work.prompt, 1) or None,
        },
        "repeats": {
            "prompt_tokens_per_s": prompt,
            "generation_tokens_per_s": generation,
            "read_bytes_per_s": [limits.read_bytes_per_s for limits in found],
            "int8_ops_per_s": [limits.int8_ops_per_s for limits in found],
        },
    }


def around(settings: dict[str, Any], work: Any) -> dict[str, Any]:
    """On what, with what and how it was measured."""
    from dataclasses import asdict

    from gemsmith import kernels
    from gemsmith.runtime import probe
    from gemsmith.version import __version__

    processor = probe.processor()
    return {
        "threads": settings["threads"],
        "isa": kernels.isa() if kernels.available() else None,
        "settings": {**asdict(work), **settings},
        "machine": {
            "processor": processor.name,
            "architecture": processor.architecture,
            "threads": processor.num_usable,
            "instructions": list(processor.instructions),
            "memory": probe.total_memory(),
            "system": f"{platform.system()} {platform.release()}",
        },
        "versions": {"gemsmith": __version__, "python": platform.python_version(), **dict(packages())},
    }


def packages() -> Iterator[tuple[str, str]]:
    """Those that took part."""
    for name in PACKAGES:
        if name in sys.modules:
            try:
                yield name, version(name)
            except PackageNotFoundError:
                continue


def page(facts: dict[str, Any]) -> Iterator[str]:
    """The figures for a person, at most 80 columns."""
    settings, machine, repeats = facts["settings"], facts["machine"], facts["repeats"]
    behind = f" behind {settings['depth']:,} others" if settings["depth"] else ""
    kv = f", keys and values in {settings['kv']}" if settings.get("kv") else ""
    yield f"{facts['model']} on {facts['runtime']}, {counted(facts['threads'], 'thread')}, {machine['processor']}{kv}"
    yield ""
    yield f"{'':40}{'median':>10}{'least':>10}{'most':>10}"
    if repeats["prompt_tokens_per_s"]:
        name = f"read {counted(settings['prompt'], 'token')}{behind}, tokens/s"
        yield rate_line(name, facts["prompt_tokens_per_s"], repeats["prompt_tokens_per_s"])
    if repeats["generation_tokens_per_s"]:
        name = f"write {counted(settings['generate'], 'token')}{behind}, tokens/s"
        yield rate_line(name, facts["generation_tokens_per_s"], repeats["generation_tokens_per_s"])
    for rate, share, name, unit in (
        ("int8_ops_per_s", "arithmetic_share", "8-bit products, billion operations/s", 1e9),
        ("read_bytes_per_s", "bandwidth_share", "plain reading, GB/s", 1e9),
    ):
        if repeats[rate]:
            yield rate_line(name, facts["limits"][rate] / unit, [each / unit for each in repeats[rate]])
            if facts[share] is not None:
                what = "reading" if share == "arithmetic_share" else "writing"
                yield f"{f'  {what} used of that':40}{facts[share]:>10.0%}"
    yield ""
    if facts["time_to_first_token_s"] is not None:
        yield f"{'first token after':40}{facts['time_to_first_token_s']:>8.3f} s"
    yield f"{'loaded in':40}{facts['load_s']:>8.2f} s"
    yield f"{'memory at its peak':40}{facts['peak_rss_bytes'] / 1e9:>7.2f} GB"


def rate_line(name: str, median: float, all_of_them: list[float]) -> str:
    """Median, least and most."""
    return f"{name:40}" + "".join(f"{value:>10,.1f}" for value in (median, min(all_of_them), max(all_of_them)))


def counted(count: int, noun: str) -> str:
    """1 token, 2 tokens."""
    return f"{count:,} {noun}{'s' * (count != 1)}"
