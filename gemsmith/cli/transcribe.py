"""`gemsmith transcribe FILE`: what is said in a sound or clip of any length, as words on stdout, or translated."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from gemsmith.cli import options
from gemsmith.cli.settings.table import BY_KEY

if TYPE_CHECKING:
    from gemsmith.cli.attachments import Attachment
    from gemsmith.media.settings import MediaSettings

HEARING = ("e2b", "e4b", "12b")  # the released sizes that hear, the smallest first
EPILOG = """\
examples:
  gemsmith transcribe talk.mp3                      words as they are heard
  gemsmith transcribe talk.mp3 --model e4b > talk.txt
  gemsmith transcribe interview.mp4 --language German --to English
  gemsmith transcribe talk.mp3 --json               a segment a line, with times

Sound of more than 30 s is cut at quiet places, and heard piece by piece. With
--to, translations stand after what was said. The model is --model, else the
setting `model`, else the first of e2b, e4b and 12b that is on this machine.

--json prints an object a segment, of kind "segment", with start and end in
seconds, text, and translation with --to; and last one of kind "done" with the
whole. exit codes: 1 also where --max-tokens or the context cut a segment short.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `transcribe` understands."""
    parser.epilog = EPILOG
    parser.add_argument("file", metavar="FILE", help="a sound or clip: wav, mp3, flac, ogg, m4a, mp4 …")
    add_model(parser)
    parser.add_argument("--language", metavar="NAME", type=options.words, help="what is spoken, as in German (any)")
    parser.add_argument("--to", metavar="NAME", type=options.words, help="also translate into this, as in English")
    parser.add_argument("--json", action="store_true", help="print one JSON object a segment, with its times")
    parser.add_argument("--allow-urls", action="store_true", help="fetch a FILE that is an http or https address")
    options.add(parser, "plain")
    options.add_sampling(parser)
    options.add_loading(parser)


def add_model(parser: argparse.ArgumentParser) -> None:
    """A flag here, since the file is what the command is about; where nobody names a model, `chosen` chooses."""
    help = f"a model that hears: {', '.join(HEARING)}, or a folder (the setting `model`, or the first of these here)"
    parser.add_argument("--model", metavar="MODEL", default=options.NotTyped(BY_KEY["model"]), help=help)
    taken = (*(parser.get_default("takes") or ()), "model")
    parser.set_defaults(takes=taken, model_argument="--model", chooses_model=True)


def run(args: argparse.Namespace) -> int:
    """Hear the file, and print what is said."""
    from gemsmith.cli.attachments import Look, attached, check_senses
    from gemsmith.cli.output import manner, patience
    from gemsmith.cli.packing import ensure_ready
    from gemsmith.engine import load
    from gemsmith.engine.transcribe import prompt_for
    from gemsmith.media.settings import MediaSettings

    with manner(spoken=args.plain):
        look = Look(cut=True, allow_urls=args.allow_urls)
        attachment = attached("audio", args.file, look)
        question = prompt_for(
            args.language, args.to
        )  # a name of a language that is none is told before anything is loaded
        name = chosen(args)
        check_senses(name, [attachment])
        ensure_ready(name, options.loading(args))
        with patience(f"loading {name}"):
            model = load(name, **options.loading(args))
        return hear(args, model, attachment, question, look.settings or MediaSettings())


def chosen(args: argparse.Namespace) -> str:
    """The model that somebody named, or the first that hears and is here. GemsmithError where none is."""
    from gemsmith.cli.output import note
    from gemsmith.errors import GemsmithError
    from gemsmith.hub.names import resolve

    if args.settings.of("model"):
        return str(args.model)
    for name in HEARING:
        if resolve(name).kind != "remote":
            note(f"no --model given: {name}, which is on this machine")
            return name
    raise GemsmithError(
        "no model that hears is on this machine; fetch the smallest with: gemsmith pull e2b, or name one with --model"
    )


def hear(args: argparse.Namespace, model: Any, attachment: Attachment, question: str, settings: MediaSettings) -> int:
    """Print the segments as they are heard; 1 where one was cut off."""
    from gemsmith.cli import hearing
    from gemsmith.cli.chat.toolbar import counted
    from gemsmith.cli.output import note
    from gemsmith.engine.transcribe import Segment

    pieces = hearing.pieces(model, attachment, settings)
    asked = {"to": args.to, "media": settings, **options.sampling(args)}
    shown = hearing.Lines(args.to) if args.json else hearing.Words(args.to)
    progress = hearing.Progress(pieces, is_beside_words=not args.json)
    try:
        progress.reach(0.0)
        for each in hearing.heard(model, pieces, question, asked):
            shown.show(each)
            if isinstance(each, Segment):
                progress.reach(each.end)
    finally:
        progress.end()
        shown.end()
    if cut := sum(segment.finish_reason == "length" for segment in shown.segments):
        note(f"cut short: {cut} of {counted(len(pieces), 'segment')}; out of tokens (--max-tokens) or of context")
    return int(bool(cut))
