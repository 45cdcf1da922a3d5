"""`gemsmith`: which command was meant, and how it ended.

A command is a module of this folder with `add_arguments(parser)` and `run(args) -> int`. It is imported only when it is
the one asked for, and imports what is heavy inside `run`, so that `gemsmith --help` costs a Python start and no more.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import os
import sys
import traceback
import warnings
from collections.abc import Collection, Sequence
from typing import Any, NoReturn

from gemsmith.errors import GemsmithError, MissingDependencyError
from gemsmith.version import __version__

COMMANDS = {
    "run": "ask a model once, or chat with it line by line",
    "transcribe": "write down what is said in a sound or clip, or translate it",
    "batch": "answer a file of prompts or requests, line by line",
    "quantize": "make a model smaller, ready for the processor",
    "pull": "fetch a model, or go on with one that was begun",
    "list": "the models on this machine",
    "rm": "remove a fetched model",
    "show": "what a model is made of: shapes, parameters, costs",
    "plan": "what running a model takes on this machine, and what fits",
    "doctor": "what this machine has, and whether it computes rightly",
    "eval": "score a model on held-out examples",
    "bench": "how fast a model reads and writes on this machine",
    "completion": "print a script that completes commands in your shell",
}

# what people type who know other programs: it is no command, but the nearest word would be the wrong one
MEANT = {"chat": "run", "ask": "run", "ls": "list", "remove": "rm", "download": "pull", "info": "show"}

EXAMPLES = """\
examples:
  gemsmith run pebble "What is 17 + 25?"   a small model that is in the package
  gemsmith run pebble                      chat; /bye or Ctrl-D leaves
  gemsmith show e2b                        parameters, FLOPs, K/V bytes
  gemsmith COMMAND --help                  everything about one command

settings: a flag, GEMSMITH_* in the environment, gemsmith.toml of a project, or
your own file; gemsmith show --config says what holds, and where it was set.

exit codes: 0 well, 1 a problem told on stderr, 2 a command line not understood,
130 stopped with Ctrl-C. GEMSMITH_DEBUG=1 does what --debug does, NO_COLOR=1
keeps output plain.
"""

# third-party packages that only an extra brings: module -> (package, extra, what it is for)
EXTRAS = {
    "torch": ("torch", "torch", "this model's engine"),
    "PIL": ("pillow", "media", "reading pictures"),
    "av": ("av", "media", "reading sound and video"),
    "pypdfium2": ("pypdfium2", "media", "reading PDF pages"),
}


UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF)  # a full disk, a terminal that went away


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; return its exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = say_warning
            code = run(argv) if stdout_is_open() else 1
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of stdout left
        drop_stdout()
        return 141
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        drop_stdout()
        tell(f"error: cannot write the output: {error.strerror or error}")
        return 1


def run(argv: list[str]) -> int:
    """Run the command that `argv` names; tell a user's mistake on stderr."""
    debug = "--debug" in argv or os.environ.get("GEMSMITH_DEBUG", "") not in ("", "0")
    try:
        args = parse(argv)
        args.debug = debug
        return run_settled(args) if hasattr(args, "settings") else args.run(args)
    except SystemExit as stop:  # argparse: --help and --version end with 0, usage errors with 2
        return stop.code if isinstance(stop.code, int) else 1
    except (GemsmithError, ModuleNotFoundError, OSError, MemoryError) as error:
        told = as_gemsmith_error(error)
        if told is None:
            raise
        if debug:
            traceback.print_exception(error)
        tell(f"error: {told}")
        return 1


def parse(argv: list[str]) -> argparse.Namespace:
    """What `argv` means. Options may stand anywhere after the command, also between its arguments."""
    name = next((word for word in argv if not word.startswith("-")), None)
    if name is None:
        parser = front_parser()
        parser.parse_args(argv)
        return argparse.Namespace(run=lambda _: print(parser.format_help(), end="") or 0)
    if name == "help":  # `help run` is `run --help`
        return parse([*(word for word in argv if word != "help"), "--help"])
    if name not in COMMANDS:
        front_parser().error(f"no command {name!r}{nearest(MEANT.get(name, name), COMMANDS)}")
    before, after = argv[: argv.index(name)], argv[argv.index(name) + 1 :]
    front_parser().parse_args(before)
    args = command_parser(name).parse_intermixed_args(after)

    from gemsmith.cli import options

    options.settle(args, name)
    return args


def run_settled(args: argparse.Namespace) -> int:
    """Run a command with what flags, environment and files settled; tell what a person should know beforehand."""
    from gemsmith.cli.output import note
    from gemsmith.cli.settings.settled import in_force

    with in_force(args.settings):
        if not getattr(args, "tells_settings", False):  # such a command tells all of it itself
            args.settings.check()
            for remark in args.settings.remarks:
                note(remark)
        code: int = args.run(args)
        return code


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one command."""
    from gemsmith.cli import options

    module = importlib.import_module(f"gemsmith.cli.{name}")
    parser = Parser(prog=f"gemsmith {name}", description=f"{COMMANDS[name].capitalize()}.")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    options.add(parser, "color")
    parser.set_defaults(run=module.run, usage_error=parser.error)
    module.add_arguments(parser)
    return parser


def front_parser() -> argparse.ArgumentParser:
    """`gemsmith` without a command: what there is."""
    width = max(map(len, COMMANDS)) + 2
    commands = "".join(f"  {name:{width}}{text}\n" for name, text in COMMANDS.items())
    parser = Parser(
        prog="gemsmith",
        usage="gemsmith COMMAND ...",
        description=f"Gemma 4, whole, in Python.\n\ncommands:\n{commands}".rstrip(),
        epilog=EXAMPLES,
    )
    parser.add_argument("--version", action="version", version=f"gemsmith {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def as_gemsmith_error(error: Exception) -> Exception | None:
    """The error to tell the user about, or None where it is a bug of ours."""
    if isinstance(error, GemsmithError):
        return error
    if isinstance(error, MemoryError):
        return GemsmithError("the memory of this machine is used up; close other programs, or try a smaller model")
    if isinstance(error, ModuleNotFoundError):
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        return MissingDependencyError(*extra) if extra else None
    # a file that the user named: missing, not readable, a folder, a full disk
    return error if isinstance(error, OSError) and error.filename is not None else None


def say_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """One line for a person, without the place in our sources that Python adds."""
    tell(f"warning: {message}")


def tell(text: str) -> None:
    """A line on stderr. It may quote a stranger's file, so a terminal gets it harmlessly."""
    from gemsmith.cli.output import wrapped, write

    write(sys.stderr, f"{wrapped(f'gemsmith: {text}', sys.stderr)}\n")


def stdout_is_open() -> bool:
    """Make the three streams ready; False, told on stderr, where there is no stdout to answer on.

    A stdin that the caller closed is an empty one. A byte or character that the terminal's encoding lacks shows as a
    mark, and ends no conversation.
    """
    is_open = sys.stdout is not None
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - for as long as the program runs
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if not is_open:
        tell("error: stdout is closed, so there is nowhere to answer; for no output, write to /dev/null")
    return is_open


def drop_stdout() -> None:
    """Nobody takes what is left in stdout: Python would complain once more when it flushes it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Parser(argparse.ArgumentParser):
    """argparse that takes no abbreviations, keeps the lines of its examples, and says where help is."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        tell(f"error: {message}\ntry: {self.prog} --help")
        self.exit(2)


def nearest(word: str, known: Collection[str]) -> str:
    """ "; did you mean …?" where something known is close to `word`, else what there is."""
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"
