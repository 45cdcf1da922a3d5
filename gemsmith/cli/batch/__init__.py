"""`gemsmith batch IN -o OUT`: a file of prompts or requests, answered line by line; goes on after interruption."""

from __future__ import annotations

import argparse

from gemsmith.cli import options
from gemsmith.cli.settings.table import BY_KEY

EPILOG = """\
examples:
  gemsmith batch in.jsonl -o out.jsonl
  gemsmith batch in.jsonl -o out.jsonl --temperature 0 --max-tokens 200
  gemsmith batch in.jsonl -o try.jsonl --limit 10     the first ten lines only
  gemsmith batch openai.jsonl -o out.jsonl --model ./gemma-4-E2B-it
  jq -c .question faq.json | gemsmith batch - -o - | jq -r .text

A line of IN is a prompt ("What is 17 + 25?"), {"prompt": "…"}, or
{"messages": […]} with tools, think, system, id and any sampling option; or a
line of OpenAI's batches ({"custom_id", "method", "url", "body"}), which is
answered in OpenAI's form. A line of OUT has the id, or else the number, of the
line it answers; reply, text, finish_reason and usage; or an error, which does
not stop the rest.

OUT appears when it is whole. Until then answers are in OUT.part, and after
Ctrl-C, kill -9 or a power cut the same command goes on behind the last one.
The same input and settings give the same bytes, interrupted or not: every line
has its own seed, made from --seed (0 if not given) and its number.

exit codes: 0 all lines were answered, 1 some failed, 130 and 143 stopped.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `batch` understands."""
    parser.epilog = EPILOG
    parser.add_argument("input", metavar="IN", help="a JSON value a line; '-' reads stdin")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="where the answers go; '-' means stdout")
    add_model(parser)
    options.add(parser, "system", "think")
    parser.add_argument("--limit", type=int, metavar="N", help="answer only the first N lines")
    parser.add_argument("--max-errors", type=int, metavar="N", help="stop once more than N lines have failed")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT, once the new one is whole")
    parser.add_argument("--restart", action="store_true", help="throw OUT.part away, and begin anew")
    options.add(parser, "plain")
    options.add_sampling(parser)
    options.add_loading(parser)


def add_model(parser: argparse.ArgumentParser) -> None:
    """A flag here, since the file is what the command is about; the setting `model` where it is not given."""
    help = "pebble, a name, a Hugging Face repository or a folder (the setting `model`)"
    parser.add_argument("--model", metavar="MODEL", default=options.NotTyped(BY_KEY["model"]), help=help)
    parser.set_defaults(takes=(*(parser.get_default("takes") or ()), "model"), model_argument="--model")


def run(args: argparse.Namespace) -> int:
    """Answer all lines."""
    if args.limit is not None and args.limit < 1:
        args.usage_error("--limit must be at least 1")
    if args.max_errors is not None and args.max_errors < 0:
        args.usage_error("--max-errors must be at least 0")

    from gemsmith.cli.batch.job import PIPE, run_to_file, run_to_stdout
    from gemsmith.cli.batch.stopping import Stop, Stopped
    from gemsmith.cli.output import manner, note

    stop = Stop()
    with stop.installed(), manner(spoken=args.plain):
        try:
            return (run_to_stdout if args.output == PIPE else run_to_file)(args, stop)
        except Stopped as stopped:  # before the first line
            note("stopped before a line was answered; nothing is lost")
            return stopped.exit_code
