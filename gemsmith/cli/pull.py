"""`gemsmith pull NAME`: fetch a model into Hugging Face's cache, where other programs find it too."""

from __future__ import annotations

import argparse
from dataclasses import replace

from gemsmith.cli import options

EPILOG = """\
examples:
  gemsmith pull e2b                              Gemma 4 E2B, instruction-tuned
  gemsmith pull e4b-base                         E4B before instruction tuning
  gemsmith pull google/gemma-4-E2B-it@3e22461f   any repository and commit
  gemsmith pull org/gemma-4-E2B-it-GGUF:Q4_0     one .gguf file
  gemsmith pull org/name --include 'tokenizer*'  some files only

Says first what it fetches, how much, and where to. What an interrupted pull has
fetched is kept: the same command goes on from there. A file becomes visible
when its checksum was right, a model when all its files are there. The folder
is printed on stdout, everything else on stderr.

Environment: HF_HOME, HF_HUB_CACHE (where models are kept), HF_TOKEN (for models
with a licence to accept), HF_ENDPOINT (another host), HF_HUB_OFFLINE=1,
HF_HUB_DOWNLOAD_TIMEOUT (seconds of silence), HTTPS_PROXY.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `pull` understands."""
    parser.epilog = EPILOG
    parser.add_argument("name", metavar="NAME", help="e2b, e4b, 12b, 26b-a4b, 31b, org/name[@revision], org/name:QUANT")
    parser.add_argument("--revision", metavar="R", help="a branch, a tag or a commit (main)")
    options.add(parser, "offline")
    parser.add_argument(
        "--force", action="store_true", help="fetch also what does not fit into memory, or is no Gemma 4"
    )
    parser.add_argument("--verify", action="store_true", help="check again the sums of files that are here already")
    parser.add_argument(
        "--include", metavar="PATTERN", action="append", default=[], help="only these files; may be given repeatedly"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress, no notes")


def run(args: argparse.Namespace) -> int:
    """Fetch, or find that all is here; print where."""
    from gemsmith.cli.fetching import reporting
    from gemsmith.cli.output import note
    from gemsmith.errors import ModelNotFoundError
    from gemsmith.hub import cache, known, places
    from gemsmith.hub.connection import offline_error
    from gemsmith.hub.names import available_names, resolve
    from gemsmith.hub.pull import Terms, pull
    from gemsmith.runtime.probe import total_memory

    wanted = known.wanted(args.name)
    if wanted is None:
        found = resolve(args.name)  # tells what is wrong with a name that is none
        if found.name in available_names():
            if not args.quiet:
                note(f"{found.name} comes with gemsmith; nothing to fetch")
            print(found.path)
            return 0
        raise ModelNotFoundError(f"{args.name} needs no download: it is {found.path or 'made from a seed'}")
    if args.revision is not None:
        if wanted.revision not in (None, args.revision):
            args.usage_error(f"{args.name} names a revision, and --revision another")
        wanted = replace(wanted, revision=args.revision)
    if places.offline():  # the setting of that name is in force there too
        path = cache.find(wanted)
        if path is None:
            raise offline_error(args.name)
    else:
        terms = Terms(total_memory(), args.force, args.verify, tuple(args.include))
        with reporting(args.quiet) as report:
            path = pull(wanted, terms, report)
        if wanted.quant is None and not (args.quiet or args.include):
            note(f"to talk to it: gemsmith run {args.name}")
    print(path)
    return 0
