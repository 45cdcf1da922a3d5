"""`gemsmith plan MODEL`: what running a model takes here, and what fits, before anything is loaded."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gemsmith.cli import options

if TYPE_CHECKING:
    from gemsmith.engine.outlook import Outlook

EPILOG = """\
examples:
  gemsmith plan e2b
  gemsmith plan ./e2b-q4 --kv q8 --max-context 32768
  gemsmith plan ./gemma-4-E2B-it-Q4_0.gguf
  gemsmith plan pebble --json

Reads headers, no weights, and allocates nothing. Exit code 1 where the model
does not fit into the memory that is free now: why, and what to try, is told on
stderr.
"""
PURPOSES = {"weights": "weights", "work": "masks, scores, media", "margin": "margin"}
SMALLER = ("q8", "q4", "mix")  # what `quantize` makes of a model that is no pack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `plan` understands."""
    parser.epilog = EPILOG
    options.add_model(parser, "a name, a folder with a checkpoint or a pack, or a .gguf file")
    parser.add_argument("--json", action="store_true", help="print one JSON object, everything in bytes")
    options.add_loading(parser)


def run(args: argparse.Namespace) -> int:
    """Look, then print; 1 if it does not fit."""
    from gemsmith.cli.main import tell
    from gemsmith.cli.output import write
    from gemsmith.engine.outlook import outlook

    found = outlook(args.model, **options.loading(args))
    write(sys.stdout, (json.dumps(facts(found), indent=2) if args.json else "\n".join(page(found))) + "\n")
    if found.told:
        tell(f"warning: {found.told}")
    if found.problem:
        tell(f"error: {found.problem}")
    return int(bool(found.problem))


def facts(found: Outlook) -> dict[str, Any]:
    """The outlook, as JSON has it."""
    out = asdict(found)
    del out["config"]
    out["disk"]["folder"] = str(found.disk.folder or "")
    return out | {"total": found.total, "fits": not found.problem, "packs": packs(found)}


def packs(found: Outlook) -> dict[str, dict[str, int]]:
    """What a token reads and what stays on the disk, of the packs that `quantize` could make."""
    from gemsmith.formats.pack import known_sizes
    from gemsmith.runtime.packed_plan import bytes_read

    sizes = {} if found.kind == "pack" else {policy: known_sizes(found.config, policy) for policy in SMALLER}
    return {
        policy: {"file": each.file, "table": each.table, "read_per_token": bytes_read(found.config, each.read)}
        for policy, each in sizes.items()
    }


def page(found: Outlook) -> Iterator[str]:
    """The outlook for a person, at most 80 columns but for names and paths."""
    from gemsmith.hub.report import size

    kind = {"pack": f"a pack ({found.policy})", "gguf": "a GGUF file", "remote": "not on this machine"}.get(found.kind)
    yield f"{found.name}, {kind}" if kind else found.name
    yield f"runs on {found.how}"
    yield ""
    yield from disk_lines(found)
    yield line("weights read for each token that is written", found.read_per_token)
    yield ""
    fits = ": does not fit" if found.problem else ""
    yield f"  in memory, with {found.context:,} of {found.most_context:,} tokens of context{fits}"
    for purpose, nbytes in found.memory.items():
        yield line(f"  keys and values in {found.kv}" if purpose == "kv" else f"  {PURPOSES[purpose]}", nbytes)
    yield f"{line('  together', found.total)}  of {size(found.free)} free"
    yield ""
    yield from table("keys and values of", {f"{n:,} tokens": sizes for n, sizes in found.kv_bytes.items()})
    if smaller := packs(found):
        columns = {"file": "file", "table": "stays on disk", "read_per_token": "a token reads"}
        rows = {policy: {columns[key]: nbytes for key, nbytes in each.items()} for policy, each in smaller.items()}
        yield ""
        yield from table("gemsmith quantize --to", rows)


def disk_lines(found: Outlook) -> Iterator[str]:
    """Files: the model's, and the pack that is made of it once."""
    from gemsmith.hub.places import shown

    disk = found.disk
    if disk.model:
        yield line("on disk", disk.model)
    if disk.folder is not None:
        yield line(f"its pack, {'there already' if disk.is_packed else 'made at first use'}", disk.pack)
        yield f"    in {shown(disk.folder)}"
    if disk.table:
        yield line("  per-layer embeddings: they stay there", disk.table)


def line(name: str, nbytes: int) -> str:
    """A purpose and its bytes."""
    from gemsmith.hub.report import size

    return f"  {name:46}{size(nbytes):>12}"


def table(title: str, rows: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Bytes in rows and columns."""
    from gemsmith.hub.report import size

    yield f"  {title:28}" + "".join(f"{name:>15}" for name in next(iter(rows.values())))
    for name, sizes in rows.items():
        yield f"  {name:28}" + "".join(f"{size(nbytes):>15}" for nbytes in sizes.values())
