"""`gemsmith rm NAME`: take a model out of Hugging Face's cache."""

from __future__ import annotations

import argparse
import sys

EPILOG = """\
examples:
  gemsmith rm e2b                              all its revisions
  gemsmith rm google/gemma-4-E2B-it@3e22461f   that one only
  gemsmith rm e2b --yes                        without asking

Files that another revision uses stay, and so does everything outside of the
cache. A download that was only begun is removed in the same way. A repository
with several GGUF files goes as a whole: name it without a quantisation.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `rm` understands."""
    parser.epilog = EPILOG
    parser.add_argument("name", metavar="NAME", help="a name that gemsmith list shows, or a short one")
    parser.add_argument("--revision", metavar="R", help="only this branch, tag or commit")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace) -> int:
    """Say what goes, ask, remove."""
    from dataclasses import replace

    from gemsmith.cli.output import note
    from gemsmith.errors import ModelNotFoundError
    from gemsmith.hub.known import wanted
    from gemsmith.hub.names import available_names
    from gemsmith.hub.remove import removal, remove
    from gemsmith.hub.report import Lines, size

    if args.name.lower() in available_names():
        raise ModelNotFoundError(f"{args.name} came with gemsmith, and goes with it: pip uninstall gemsmith")
    asked = wanted(args.name)
    if asked is None:
        raise ModelNotFoundError(
            f"{args.name[:200]!r} is not the name of a model in the cache; gemsmith list shows what is there (files and"
            " folders of your own are yours to remove)"
        )
    plan = removal(replace(asked, revision=args.revision or asked.revision))
    parts = [f"revision {commit[:8]}" for commit in plan.commits] + ["an unfinished download"] * plan.begun
    what = f"{plan.wanted.repo} ({', '.join(parts) or 'left-over files'}): {size(plan.nbytes)}"
    if not args.yes:
        if not sys.stdin.isatty():
            args.usage_error(f"this would remove {what}; give --yes where nobody can be asked")
        if not confirmed(f"remove {what}? [y/N] "):
            note("nothing was removed")
            return 1
    remove(plan, Lines())
    note(f"removed {what} freed" if args.yes else f"{size(plan.nbytes)} freed")
    return 0


def confirmed(question: str) -> bool:
    """Whether the person says yes; anything else is no."""
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
