"""`gemsmith run MODEL [PROMPT]`: ask once, or chat line by line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from gemsmith.cli import options

EPILOG = """\
examples:
  gemsmith run pebble "What is 17 + 25?"
  gemsmith run pebble "What is 17 + 25?" --think   thoughts are dimmed
  gemsmith run pebble                              chat; /help lists commands
  gemsmith run pebble < questions.txt              one prompt a line, each alone
  git diff | gemsmith run ./gemma-4-E4B-it --system "Review this." -
  gemsmith run ./gemma-4-E2B --raw "Once upon a time" --max-tokens 40

Only the answer goes to stdout: thoughts and notes go to stderr, so that a pipe
carries what was asked for.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run` understands."""
    parser.epilog = EPILOG
    parser.add_argument("model", metavar="MODEL", help="pebble, a folder with a checkpoint, or a .safetensors file")
    parser.add_argument(
        "prompt",
        metavar="PROMPT",
        nargs="?",
        type=options.words,
        help="what to ask; '-' reads all of stdin as one prompt; without it: a chat, or a prompt a line from a pipe",
    )
    parser.add_argument(
        "--system", metavar="TEXT", type=options.words, help="instructions that stand above the conversation"
    )
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
    from gemsmith.cli.chat import Continuations, Conversation, chat
    from gemsmith.cli.output import Page, patience, show_pieces, show_reply
    from gemsmith.engine import load

    prompt = sys.stdin.read().removesuffix("\n") if args.prompt == "-" else args.prompt
    with patience(f"loading {args.model}"):
        model = load(args.model, **options.loading(args))
    sampling = options.sampling(args)

    def complete(text: str) -> Iterator[str]:
        return model.stream_complete(text, **sampling)

    def stream(messages: list[Message]) -> Iterator[Event]:
        return model.stream(messages, think=args.think, **sampling)

    if prompt is None:
        return chat(Continuations(complete) if args.raw else Conversation(stream, args.system))
    if args.raw:
        show_pieces(complete(prompt))
        return 0
    system = [] if args.system is None else [Message("system", (Text(args.system),))]
    show_reply(stream([*system, Message("user", (Text(prompt),))]), Page())
    return 0
