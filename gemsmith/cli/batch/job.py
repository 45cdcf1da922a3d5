"""One run of a batch: what is there already, the model, line after line, and how it ended."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from gemsmith.cli import options
from gemsmith.cli.batch.lock import locked
from gemsmith.cli.batch.progress import Progress, Tally, lines, progress, summary
from gemsmith.cli.batch.stopping import Stop, Stopped
from gemsmith.cli.output import note, patience, write
from gemsmith.engine.batch.answers import Answer, answers
from gemsmith.engine.batch.identity import identity
from gemsmith.engine.batch.lines import Lines, Scan, scan
from gemsmith.engine.batch.request import Defaults
from gemsmith.engine.batch.work import Begun, Work
from gemsmith.errors import GemsmithError
from gemsmith.files import regular_file

PIPE = "-"


class Sink(Protocol):
    """Where answer lines go."""

    def append(self, line: bytes) -> None:
        """Take a whole line."""

    def beat(self) -> None:
        """Time has passed."""


class Printed:
    """Answer lines on stdout, each at once."""

    def append(self, line: bytes) -> None:
        """Print a line; as bytes where nobody looks, so that it is UTF-8 whatever the locale says."""
        buffer = getattr(sys.stdout, "buffer", None)
        if buffer is None or sys.stdout.isatty():
            write(sys.stdout, line.decode())
        else:
            buffer.write(line)
            buffer.flush()

    def beat(self) -> None:
        """Nothing waits."""


def run_to_file(args: argparse.Namespace, stop: Stop) -> int:
    """Answer into a file, which appears when it is whole."""
    out = Path(os.path.realpath(args.output))
    with opened(args.input) as file:
        check_places(args, out)
        with locked(out):
            work = Work(out)
            work.check(overwrite=args.overwrite, restart=args.restart)
            found = scanned(args, file, stop)
            model = load(args, stop)
            begun = work.begin(known_as(args, found), overwrite=args.overwrite, restart=args.restart)
            if begun.is_finished:
                note(f"{out.name} is whole already: {lines(begun.num_lines)}, {begun.num_errors:,} failed")
                return int(begun.num_errors > 0)
            try:
                code = go_on(args, stop, model, file, found, begun, work)
                work.finish()
                return code
            except Stopped as stopped:
                work.stop()
                note(how_to_go_on(args, work))
                return stopped.exit_code
            finally:
                work.stop()


def run_to_stdout(args: argparse.Namespace, stop: Stop) -> int:
    """Answer onto stdout: nothing is kept, so nothing can be gone on with."""
    if args.overwrite or args.restart:
        args.usage_error("--overwrite and --restart are for an output file (-o out.jsonl)")
    with opened(args.input) as file:
        found = scanned(args, file, stop)
        model = load(args, stop)
        try:
            return go_on(args, stop, model, file, found, Begun(), Printed())
        except Stopped as stopped:
            note("stopped; answers on stdout are not kept, so the next run begins anew")
            return stopped.exit_code


def go_on(
    args: argparse.Namespace, stop: Stop, model: Any, file: BinaryIO, found: Scan | None, begun: Begun, sink: Sink
) -> int:
    """Answer every line behind those that are answered; tell how it went."""
    tally = Tally(found.count if found else None, begun.num_lines, begun.num_lines, begun.num_errors)
    source = Lines(file, found.count if found else args.limit)
    if begun.num_lines:
        has = "answer that is" if begun.num_lines == 1 else "answers that are"
        note(f"going on behind {begun.num_lines:,} {has} there already")
    shown = progress(tally)

    def heard() -> None:
        tally.num_heard += 1
        sink.beat()
        shown.moved()

    waiting = answers(islice(source, begun.num_lines, None), model, args.model, defaults(args), heard)
    try:
        while True:
            check_errors(args, tally)
            with stop.allowed():
                answer = next(waiting, None)
            if answer is None:
                break
            sink.append(answer.data)
            tally.add(answer, args.model)
            shown.moved()
            if answer.is_internal and args.debug:
                tell_bug(answer, shown)
    finally:
        shown.close()
    has_grown = found is not None and changed(args, file, found, source)
    tell_end(args, tally)
    return int(tally.errors > 0 or has_grown)


def check_errors(args: argparse.Namespace, tally: Tally) -> None:
    """GemsmithError once more lines have failed than the person puts up with."""
    if args.max_errors is not None and tally.errors > args.max_errors:
        raise GemsmithError(
            f"{lines(tally.errors)} failed, more than --max-errors {args.max_errors}, after {lines(tally.done)};"
            f" the answers say why. The same command with a larger --max-errors goes on"
        )


def changed(args: argparse.Namespace, file: BinaryIO, found: Scan, source: Lines) -> bool:
    """Tell if the input is not what it was; True if it has more lines now, which nobody answered."""
    if source.sha256 != found.sha256:
        raise GemsmithError(
            f"{args.input} was changed while the batch ran, so the answers may belong to other lines; they are kept in"
            f" {args.output}.part. To answer the lines that are there now: --restart"
        )
    now = os.fstat(file.fileno())
    if now.st_size != found.size and found.count != args.limit:
        note(f"{args.input} has grown while the batch ran; what came behind its first {lines(found.count)} is left out")
        return True
    path = Path(args.input)
    if now.st_mtime_ns != found.modified_ns or not path.exists() or not os.path.samestat(now, path.stat()):
        note(f"{args.input} was touched or replaced while the batch ran; answered are the lines that it began with")
    return False


def tell_end(args: argparse.Namespace, tally: Tally) -> None:
    """The summary, and what a person should know besides."""
    where = "stdout" if args.output == PIPE else str(args.output)
    write(sys.stderr, f"{summary(tally, where)}\n")
    if tally.internal and not args.debug:
        note(f"{lines(tally.internal)} failed from a bug of gemsmith's own; --debug shows where")
    for name, count in tally.others.most_common(1):
        total = sum(tally.others.values())
        note(f"{lines(total)} named another model ({name[:60]}{', …' if total > count else ''}); {args.model} answered")


def tell_bug(answer: Answer, shown: Progress) -> None:
    """The traceback of an error that is a bug of ours."""
    assert answer.error is not None
    shown.say(f"line {answer.line}:\n" + "".join(traceback.format_exception(answer.error)).rstrip())


def how_to_go_on(args: argparse.Namespace, work: Work) -> str:
    """What becomes of a batch that was stopped."""
    if args.input == PIPE:
        return (
            f"stopped; the answers so far are in {work.part.name}, but a pipe cannot be read twice: nothing can go on"
        )
    return f"stopped; the answers so far are kept in {work.part.name}, and the same command goes on behind them"


def defaults(args: argparse.Namespace) -> Defaults:
    """What the command line, or a settings file, says for all lines."""
    sampling = options.sampling(args)
    return Defaults(args.system, args.think, sampling, sampling.pop("seed", 0))


def known_as(args: argparse.Namespace, found: Scan | None) -> dict[str, Any]:
    """What the answers depend on. A pipe is never the same as another."""
    from gemsmith.engine.loading import engine_of
    from gemsmith.hub.names import resolve

    found = found or Scan(0, f"a pipe {uuid.uuid4().hex}", 0, 0)
    model = resolve(args.model)
    loading = options.loading(args)
    engine = engine_of(model, dtype=loading.get("dtype"), device=loading.get("device"))
    return identity(found, args.limit, model.name, model.path, loading, defaults(args), engine)


def load(args: argparse.Namespace, stop: Stop) -> Any:
    """The model; fetched first, where it has to be."""
    from gemsmith.cli.packing import ensure_ready
    from gemsmith.engine import load

    with stop.allowed():
        ensure_ready(args.model, options.loading(args))
        with patience(f"loading {args.model}"):
            return load(args.model, **options.loading(args))


def scanned(args: argparse.Namespace, file: BinaryIO, stop: Stop) -> Scan | None:
    """What the input holds; None for a pipe, which can be read only once."""
    if args.input == PIPE:
        return None
    with stop.allowed(), patience(f"reading {args.input}"):
        return scan(file, args.limit)


@contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """The input as bytes."""
    if name == PIPE:
        yield sys.stdin.buffer
        return
    with regular_file(Path(name), GemsmithError) as (file, _):
        yield file


def check_places(args: argparse.Namespace, out: Path) -> None:
    """GemsmithError where the output cannot be where it is to be."""
    if not out.parent.is_dir():
        raise GemsmithError(f"there is no folder {out.parent} for {out.name}; make it first")
    if args.input == PIPE:
        note("a pipe cannot be read twice: if this batch is interrupted, it cannot go on")
    elif out.exists() and os.path.samefile(args.input, out):
        raise GemsmithError(f"{args.input} is input and output at once; name another output")
