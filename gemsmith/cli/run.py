"""`gemsmith run MODEL [PROMPT]`: ask once, or chat line by line."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gemsmith.cli import drawing, options, senses

if TYPE_CHECKING:
    from gemsmith.cli.attachments import Attachment
    from gemsmith.cli.chat.conversation import Conversation
    from gemsmith.cli.chat.heard import Heard
    from gemsmith.cli.chat.keeper import Keeper
    from gemsmith.cli.chat.talk import Continuations, Talk
    from gemsmith.cli.documents import Document

EPILOG = """\
examples:
  gemsmith run pebble "What is 17 + 25?"
  gemsmith run pebble "What is 17 + 25?" --think   thoughts are dimmed
  gemsmith run pebble                              chat; /help lists commands
  gemsmith run pebble --conversation sums          a chat that goes on next time
  gemsmith run pebble --continue                   the chat of the last time
  gemsmith run ./gemma-4-E4B-it "What is wrong?" --file app.py --file log.txt
  gemsmith run e4b "What is on the table?" --image room.jpg
  gemsmith run e4b "Detect every cup." --image room.jpg --draw cups.png
  gemsmith run e4b "Sum it up." --pdf report.pdf --pages 1-3 --audio talk.mp3
  gemsmith run pebble < questions.txt              one prompt a line, each alone
  git diff | gemsmith run ./gemma-4-E4B-it --system "Review this." -
  gemsmith run pebble "What is 17 + 25?" --json    one JSON event a line
  gemsmith run ./gemma-4-E2B --raw "Once upon a time" --max-tokens 40

Only the answer goes to stdout: thoughts and notes go to stderr, so that a pipe
carries what was asked for. A chat at a terminal is kept as `last` after every
answer (--no-history: it is not, nor is what you type).
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `run` understands."""
    parser.epilog = EPILOG
    options.add_model(parser, "pebble, e2b, a Hugging Face repository, a folder with a checkpoint, or a file")
    parser.add_argument(
        "prompt",
        metavar="PROMPT",
        nargs="?",
        type=options.words,
        help="what to ask; '-' reads all of stdin as one prompt; without it: a chat, or a prompt a line from a pipe",
    )
    options.add(parser, "system", "think")
    parser.add_argument(
        "--file", action="append", default=[], metavar="PATH", help="put this document or code before the prompt"
    )
    senses.add_arguments(parser)
    parser.add_argument("--encoding", metavar="NAME", help="what --file is written in (found by itself)")
    parser.add_argument("--conversation", metavar="NAME", help="go on with this saved conversation, or begin it")
    parser.add_argument("--continue", dest="go_on", action="store_true", help="go on with the last conversation")
    parser.add_argument("--json", action="store_true", help="print one JSON event a line")
    parser.add_argument(
        "--raw", action="store_true", help="no conversation: continue PROMPT as it stands, as base models do"
    )
    options.add(parser, "plain", "history")
    options.add_sampling(parser)
    options.add_loading(parser)


def run(args: argparse.Namespace) -> int:
    """Load the model, then answer PROMPT, or every line of stdin."""
    check(args)

    from gemsmith.cli import documents
    from gemsmith.cli.attachments import check_senses
    from gemsmith.cli.chat.keeper import Keeper
    from gemsmith.cli.output import manner, note, patience
    from gemsmith.cli.packing import ensure_ready
    from gemsmith.engine import load

    with manner(spoken=args.plain):
        keeper = Keeper(args.model, tell=note, autosaves=args.history and is_chat(args))
        try:
            conversation = opened(args, keeper)
            files = [documents.read(path, encoding=args.encoding) for path in args.file]
            media = senses.attachments(args)
            drawing.check(args, media)
            prompt = sys.stdin.read().removesuffix("\n") if args.prompt == "-" else args.prompt
            check_senses(args.model, media)
            ensure_ready(args.model, options.loading(args))
            with patience(f"loading {args.model}"):
                model = load(args.model, **options.loading(args))
            return answer(args, model, conversation, keeper, Before(files, media), prompt)
        finally:
            keeper.close()


def check(args: argparse.Namespace) -> None:
    """Tell what does not go together before anything is loaded."""
    has_name = args.conversation is not None or args.go_on
    has_stage = options.typed(args, "system") or (options.typed(args, "think") and args.think)
    if args.raw and (has_stage or args.file or args.media or has_name):
        args.usage_error("--raw continues plain text: it has no --system, --think, --file, media and no conversation")
    if args.conversation is not None and args.go_on:
        args.usage_error("--conversation names one and --continue takes the last: give one of them")
    if has_name and args.prompt is None and not sys.stdin.isatty():
        args.usage_error("lines of a pipe are each alone: for a conversation give PROMPT, or - for all of stdin")
    if args.prompt is None and len(args.model.split()) > 1 and not os.path.exists(args.model):
        args.usage_error(f'the model comes before the question: gemsmith run pebble "{args.model[:200]}"')
    if args.json and is_chat(args):
        args.usage_error("--json is for programs: give PROMPT, or prompts on stdin")
    senses.check(args, is_chat=is_chat(args) and not args.raw)
    drawing.check_flags(args)


def is_chat(args: argparse.Namespace) -> bool:
    """Whether a person types the prompts."""
    return args.prompt is None and sys.stdin.isatty()


def opened(args: argparse.Namespace, keeper: Keeper) -> Conversation:
    """The conversation to go on with, or a new one; flags win over what was saved."""
    from gemsmith.cli.chat.conversation import Conversation

    conversation = Conversation()
    if args.conversation is not None:
        conversation = keeper.open(options.words(args.conversation), create=True)
    elif args.go_on:
        conversation = keeper.open_latest()
    is_new = not conversation.messages
    if options.typed(args, "system") or (is_new and conversation.system is None):
        conversation.system = args.system
    if options.typed(args, "think") or is_new:
        conversation.think = args.think
    return conversation


@dataclass(frozen=True)
class Before:
    """What goes before the prompt: documents as text, and what is seen and heard."""

    files: list[Document]
    media: list[Attachment]


def answer(
    args: argparse.Namespace, model: Any, conversation: Conversation, keeper: Keeper, before: Before, prompt: str | None
) -> int:
    """Answer the prompt, the person, or the lines of a pipe."""
    from gemsmith.cli.attachments import num_tokens, words_of
    from gemsmith.cli.chat.loop import answer_lines

    texts = read_out(model, before.files)
    if before.media and prompt is None:  # what cannot be taken is told once, and not for every line
        num_tokens(model, before.media, senses.settings(args))
    if is_chat(args):
        return chat(args, model, conversation, keeper, texts, before.media)
    talk = speaker(args, model, conversation, keeper)
    parts, talk.words = [each.part for each in before.media], words_of(before.media)
    if prompt is None:
        return answer_lines(talk, teller(args), "".join(f"{text}\n\n" for text in texts), parts)
    talk.ask("\n\n".join([*texts, prompt]), parts)
    if args.draw is not None:
        drawing.draw(args, before.media, conversation.messages[-1])
    return 0


def read_out(model: Any, files: list[Document]) -> list[str]:
    """The documents as the model sees them, once it is known that they fit; what was guessed is told."""
    from gemsmith.cli import documents
    from gemsmith.cli.output import note

    for document in files:
        documents.num_tokens(model, document)
        if remark := documents.remark(document):
            note(remark)
    return [document.fenced() for document in files]


def speaker(args: argparse.Namespace, model: Any, conversation: Conversation, keeper: Keeper) -> Talk | Continuations:
    """What answers without a person: words, or events for a program."""
    from gemsmith.cli import events, output
    from gemsmith.cli.chat.talk import Continuations, Talk

    sampling = options.sampling(args)
    if args.raw:
        return Continuations(model.stream_complete, events.show_pieces if args.json else output.show_pieces, **sampling)
    shown = events.show_events if args.json else show
    settings = senses.settings(args)
    return Talk(model, conversation, show=shown, sampling=sampling, keep=keeper.keep, settings=settings)


def show(heard: Heard) -> Any:
    """Print a reply for people."""
    from gemsmith.cli.output import Page, show_reply

    return show_reply(heard, Page())


def teller(args: argparse.Namespace) -> Any:
    """How a line of a pipe that has no answer is told."""
    from gemsmith.cli.events import show_failure
    from gemsmith.cli.output import write

    def tell(error: Exception) -> None:
        write(sys.stderr, f"gemsmith: error: {error}\n")
        if args.json:
            show_failure(error)

    return tell


def chat(
    args: argparse.Namespace,
    model: Any,
    conversation: Conversation,
    keeper: Keeper,
    before: list[str],
    media: list[Attachment],
) -> int:
    """Talk with a person."""
    from gemsmith.cli.chat.session import Session

    look = senses.look(args)
    session = Session(model, keeper, encoding=args.encoding, look=look, plain=args.plain, keeps_history=args.history)
    if args.raw:
        return session.continue_text(options.sampling(args))
    return session.converse(conversation, before, options.sampling(args), [each.part for each in media])
