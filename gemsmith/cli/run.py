"""`gemsmith run MODEL [PROMPT]`: ask once, or chat line by line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from gemsmith.cli import options

EPILOG = """\
examples:
  gemsmith run pebble "What is 17 + 25?"
  gemsmith run pebble "What is 17 + 25?" --think       the thought is dimmed, and goes to stderr
  gemsmith run pebble                                  chat; /help lists the commands, Ctrl-D leaves
  gemsmith run pebble < questions.txt                  one prompt a line, each on its own
  git diff | gemsmith run e4b --system "Review this." -
  gemsmith run e2b --raw "Once upon a time" --max-tokens 40 --temperature 0.7

Only the answer goes to stdout: thoughts and notes go to stderr, so that a pipe carries what was asked for.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run` understands."""
    parser.epilog = EPILOG
    parser.add_argument("model", metavar="MODEL", help="pebble, a preset's name, or a folder with a checkpoint")
    parser.add_argument(
        "prompt",
        metavar="PROMPT",
        nargs="?",
        help="what to ask; '-' reads all of stdin as one prompt; without it: a chat, or a prompt a line from a pipe",
    )
    parser.add_argument("--system", metavar="TEXT", help="instructions that stand above the conversation")
    parser.add_argument("--think", action="store_true", help="let the model think before it answers")
    parser.add_argument(
        "--raw", action="store_true", help="no conversation: continue PROMPT as it stands, as base models do"
    )
    options.add_sampling(parser)
    options.add_loading(parser)


def run(args: argparse.Namespace) -> int:
    """Load the model, then answer PROMPT, or every line of stdin."""
    if args.raw and (args.system is not None or args.think):
        args.usage_error("--raw continues plain text: it has no --system and no --think")

    from gemsmith.chat.values import Event, Message, Text
    from gemsmith.cli.chat import chat, piped_lines, typed_lines
    from gemsmith.cli.output import Page, patience, show_pieces, show_reply
    from gemsmith.engine import load

    prompt = sys.stdin.read().removesuffix("\n") if args.prompt == "-" else args.prompt
    with patience(f"loading {args.model}"):
        model = load(args.model, **options.loading(args))
    sampling = options.sampling(args)

    if args.raw:
        lines = [prompt] if prompt is not None else typed_lines() if sys.stdin.isatty() else piped_lines()
        for line in lines:
            show_pieces(model.stream_complete(line, **sampling))
        return 0

    def stream(messages: list[Message]) -> Iterator[Event]:
        return model.stream(messages, think=args.think, **sampling)

    if prompt is None:
        return chat(stream, system=args.system)
    system = [] if args.system is None else [Message("system", (Text(args.system),))]
    show_reply(stream([*system, Message("user", (Text(prompt),))]), Page())
    return 0
