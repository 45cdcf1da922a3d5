"""`gemsmith quantize SOURCE`: a model packed for the processor, in fewer bits."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gemsmith.cli import options

if TYPE_CHECKING:
    from gemsmith.formats.pack import PackSource

EPILOG = """\
examples:
  gemsmith quantize e2b                        into ./e2b-q4
  gemsmith quantize e2b --to mix --output e2b-small
  gemsmith quantize ./my-model --to q8
  gemsmith quantize gemma-4-E2B-it-Q4_0.gguf   the same values, laid out anew

what --to can be, with the bytes of E2B that a token reads (+ those on disk):
  q8     8 bits: nearly as the original      2.4 GB (+ 2.5 GB)
  q4     4 bits                              1.3 GB (+ 1.3 GB)
  mix    q4, but 2 bits for the layers that share K/V, for experts, or for the
         MLPs of the later layers            0.9 GB (+ 1.3 GB)
  exact  every number as it is, in the layout of the kernels; only what a GGUF
         multiplies by in Q6_K (mostly the head) becomes q8, 0.5 % from it

The result is a folder with config.json, the tokenizer and one safetensors file
that is mapped, not read: it starts at once. It is read back and compared with
its checksums; gemsmith doctor FOLDER does that again. Its path is printed on
stdout, everything else on stderr. Packing E2B takes a minute or two, and at
most 2.5 GB of memory.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `quantize` understands."""
    parser.epilog = EPILOG
    parser.add_argument("source", metavar="SOURCE", help="a model's name, a folder with safetensors, or a .gguf file")
    parser.add_argument(
        "--to",
        metavar="FORMAT",
        choices=("q8", "q4", "mix", "exact"),
        help="q8, q4, mix or exact (q4; a GGUF with quantised weights: exact)",
    )
    parser.add_argument("--output", metavar="FOLDER", help="where to put it (a folder here, NAME-FORMAT)")
    parser.add_argument("--force", action="store_true", help="replace a pack that is there")
    options.add(parser, "offline")
    parser.add_argument("--quiet", action="store_true", help="no progress, no notes")


def run(args: argparse.Namespace) -> int:
    """Open, pack, verify; print where."""
    from gemsmith.cli.ending import tidy_ending
    from gemsmith.cli.output import note
    from gemsmith.formats.pack import PACK_FILE, write_pack
    from gemsmith.hub.report import size

    started = time.monotonic()
    source = opened(args.source)
    policy = args.to or default_policy(source)
    folder = Path(args.output) if args.output else Path(f"{folder_name(args.source)}-{policy}")
    before = source_bytes(source)
    try:
        with tidy_ending(), showing(args.quiet) as progress:
            write_pack(folder, source, policy, replace=args.force, progress=progress)
    except (KeyboardInterrupt, SystemExit):
        note("stopped; nothing was left behind")
        raise
    if not args.quiet:
        after = (folder / PACK_FILE).stat().st_size
        took = time.monotonic() - started
        note(f"{size(before)} are now {size(after)} ({policy}), packed and verified in {took:.0f} s")
        if policy == "exact" and (widened := six_bit_matrices(source)):
            note(f"{', '.join(widened[:2])}{', …' * (len(widened) > 2)}: from Q6_K to q8, 0.5 % from what it was")
        note(f"to talk to it: gemsmith run {folder}")
    print(folder)
    return 0


def opened(name: str) -> PackSource:
    """The checkpoint that `name` means; one of the Hub's is fetched first."""
    from gemsmith.cli.fetching import ensure_here
    from gemsmith.errors import ModelFileError
    from gemsmith.formats.checkpoint import open_checkpoint
    from gemsmith.formats.gguf import open_gguf
    from gemsmith.hub.names import resolve

    ensure_here(name)
    found = resolve(name)
    if found.kind == "pack":
        raise ModelFileError(f"{name} is a pack already; name the model it was made from")
    if found.kind in ("config", "random") or found.path is None:
        raise ModelFileError(f"{name} holds no weights to pack; name a model that does")
    return open_gguf(found.path) if found.kind == "gguf" else open_checkpoint(found.path)


def default_policy(source: PackSource) -> str:
    """4 bits; a file that is quantised already keeps its values."""
    from gemsmith.config.tensors import text_tensors

    quantised = any(source[name].dtype.startswith("Q") for name in text_tensors(source.config.text))
    return "exact" if quantised else "q4"


def six_bit_matrices(source: PackSource) -> list[str]:
    """The matrices that an exact pack cannot keep as they are; a table that is read by the row it can."""
    from gemsmith.formats.pack import packed_tensors

    tensors = [tensor for tensor in packed_tensors(source.config.text) if tensor.arrangement not in ("table", "vector")]
    return [part for tensor in tensors for part in tensor.parts if source[part].dtype == "Q6_K"]


def folder_name(source: str) -> str:
    """What to call a pack of this model: its name without owner, revision and endings."""
    name = source.rstrip("/\\").replace("\\", "/").rpartition("/")[2] or "model"
    for ending in (".gguf", ".safetensors.index.json", ".safetensors"):
        name = name.removesuffix(ending)
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in name).lstrip(".-") or "model"


def source_bytes(source: PackSource) -> int:
    """Bytes of the tensors that a pack is made from."""
    from gemsmith.config.tensors import all_tensors

    return sum(source[name].nbytes for name in all_tensors(source.config))


@contextmanager
def showing(quiet: bool) -> Iterator[Callable[[str, int, int], None] | None]:
    """A bar on a terminal that can redraw a line; plain lines every few seconds elsewhere."""
    from gemsmith.cli.fetching import can_move, console

    if quiet:
        yield None
    elif not (sys.stderr.isatty() and can_move()):
        yield Lines()
    else:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns: Any = (TextColumn("{task.description:9}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console(), refresh_per_second=4) as bars:
            tasks: dict[str, Any] = {}

            def move(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bars.add_task(what, total=total)
                bars.update(tasks[what], completed=done)

            yield move


class Lines:
    """Says how far it is, every few seconds."""

    EVERY_S = 5.0

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        if (now := time.monotonic()) - self._said >= self.EVERY_S:
            self._said = now
            print(f"{what}: {done / total:.0%}", file=sys.stderr, flush=True)
