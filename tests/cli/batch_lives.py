"""Lives of a batch, each a forked process that is ended somewhere: at random, at a file operation, by a signal.

A program of its own, `python batch_lives.py MODE FOLDER NUMBER`: the imports and the model are there before the first
fork, so that a life is as short as its work. Prints what happened as JSON; whatever should not happen is an assertion.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gemsmith.cli.batch.job  # what a life needs is imported before it begins
import gemsmith.engine
from gemsmith.chat.values import Event, Message, Text, Usage
from gemsmith.cli.main import main

KNOWN = re.compile(r"out\.jsonl(\.part(\.json|\.lock)?)?|\.out\.jsonl\.part\.json\.new|in\.jsonl|calls|said")
OPERATIONS = ("open", "write", "replace", "unlink", "fsync", "ftruncate", "close")
LONGEST_LIFE_S = 120
WAITS = (0, 0, 1, 2, 4)  # for how many lines the first, second, … death waits, and then for its instant


class Counting:
    """A model that writes every call into a side file, so that what was done twice is seen after a death too."""

    def __init__(self, folder: Path, inner: Any = None, event_s: float = 0.0) -> None:
        self.inner, self.event_s = inner, event_s
        self.calls = os.open(folder / "calls", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def stream(self, messages: list[Message], **options: Any) -> Iterator[Event]:
        text = messages[-1].text
        os_write(self.calls, text.split()[0].encode() + b"\n")
        if self.inner is not None:
            yield from self.inner.stream(text.partition(" ")[2], **options)
            return
        words = [f"{text} {options['seed'] % 1000} {i}\n" for i in range(5)]
        for word in words:
            time.sleep(self.event_s)
            yield Event("text", word)
        yield Event("done", message=Message("assistant", (Text("".join(words)),), Usage(1, 5), "stop"))


os_write = os.write  # also where a test has put another in its place


def begun(folder: Path, num_lines: int) -> Path:
    """A folder with an input; a line now and then is an error."""
    folder.mkdir()
    lines = [f'{{"prompt": "{i} What is {i} + 25?", "id": {i}}}\n' for i in range(num_lines)]
    for i in range(0, num_lines, 10):
        lines[i] = "no JSON\n\n"
    (folder / "in.jsonl").write_text("".join(lines))
    return folder


def life(folder: Path, model: Any, before: Callable[[], None] = lambda: None) -> int:
    """Start a life: the process id of a batch in `folder`."""
    if child := os.fork():
        return child
    try:
        said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 2)
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), write_through=True)
        gemsmith.engine.load = lambda source, **options: model  # type: ignore[assignment]
        before()
        code = main(["batch", f"{folder}/in.jsonl", "-o", f"{folder}/out.jsonl", "--max-tokens", "8"])
    except BaseException as error:
        os_write(2, repr(error).encode())
        code = 99
    os._exit(code)


def ended(child: int) -> int:
    """How a life ended: its exit code, or minus the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def uninterrupted(folder: Path, num_lines: int, model: Callable[[Path], Any]) -> bytes:
    """What an undisturbed batch writes."""
    begun(folder, num_lines)
    code = ended(life(folder, model(folder)))
    assert code == 1, (code, (folder / "said").read_text())  # some lines are errors
    assert visible(folder) == {"in.jsonl", "out.jsonl", "calls", "said"}
    return (folder / "out.jsonl").read_bytes()


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def part(folder: Path) -> bytes:
    path = folder / "out.jsonl.part"
    return path.read_bytes() if path.exists() else b""


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().split()


class Watch:
    """What must hold after every death."""

    def __init__(self, folder: Path, expected: bytes) -> None:
        self.folder, self.expected = folder, expected
        self.answered = [str(json.loads(line)["id"]) for line in expected.splitlines() if b'"id"' in line]
        self.num_twice = 0
        self.before, self.num_calls = b"", 0

    def check(self) -> None:
        """Nothing half-written is visible, nothing that was finished was done again, nothing is missing."""
        names = visible(self.folder)
        assert all(KNOWN.fullmatch(name) for name in names), names
        if "out.jsonl" in names:
            assert (self.folder / "out.jsonl").read_bytes() == self.expected
        if "out.jsonl.part.json" in names:
            json.loads((self.folder / "out.jsonl.part.json").read_bytes())
        now = self.expected if "out.jsonl" in names else part(self.folder)
        assert self.expected.startswith(now), "the part is not the beginning of the whole"
        assert len(now) >= self.before.rfind(b"\n") + 1, "a finished line is gone"
        self.check_calls(now)
        self.before = now

    def check_calls(self, now: bytes) -> None:
        """This life asked for the lines behind the finished ones, each once; one at most is without an answer."""
        asked = calls(self.folder)[self.num_calls :]
        self.num_calls += len(asked)
        done_before, done_now = (sum(b'"id"' in line for line in whole(each)) for each in (self.before, now))
        assert asked == self.answered[done_before : done_before + len(asked)], (asked, done_before)
        assert 0 <= len(asked) - (done_now - done_before) <= 1, (asked, done_before, done_now)
        self.num_twice += len(asked) - (done_now - done_before)


def whole(data: bytes) -> list[bytes]:
    """The lines that are whole."""
    return data[: data.rfind(b"\n") + 1].splitlines()


def at_random(folder: Path, num_kills: int, num_lines: int, longest_s: float, model: Callable[[Path], Any]) -> Any:
    """Kill batches at random instants, one batch after the other, until there were `num_kills` deaths."""
    rng = random.Random(0)
    expected = uninterrupted(folder / "whole", num_lines, model)
    kills = batches = lives = twice = in_startup = torn = 0
    start_s = time.monotonic()
    while kills < num_kills:
        batches += 1
        here = begun(folder / f"batch-{batches}", num_lines)
        watch, code = Watch(here, expected), -9
        while code == -9:
            lives += 1
            child = life(here, model(here))
            if kills < num_kills:
                wait_for_lines(here, WAITS[kills % len(WAITS)])
                time.sleep(rng.uniform(0, longest_s))
                os.kill(child, signal.SIGKILL)
            code = ended(child)
            assert code in (-9, 1), (code, (here / "said").read_text())
            size = len(watch.before)
            watch.check()
            kills += code == -9
            in_startup += code == -9 and len(watch.before) == size < len(expected)
            torn += bool(watch.before) and not watch.before.endswith(b"\n")
        twice += watch.num_twice
        assert (here / "out.jsonl").read_bytes() == expected
        assert visible(here) == {"in.jsonl", "out.jsonl", "calls", "said"}
    seconds = round(time.monotonic() - start_s, 1)
    return {"kills": kills, "batches": batches, "lives": lives, "asked_again": twice, "without_a_line": in_startup,
            "torn": torn, "lines": num_lines * batches, "seconds": seconds}  # fmt: skip


def wait_for_lines(folder: Path, number: int) -> None:
    """Wait until so many more lines are written, or the batch is over: how fast this machine is then matters little."""
    wanted, start_s = len(whole(part(folder))) + number, time.monotonic()
    while len(whole(part(folder))) < wanted and not (folder / "out.jsonl").exists():
        assert time.monotonic() - start_s < LONGEST_LIFE_S, (folder / "said").read_text()
        time.sleep(0.001)


def at_every_operation(folder: Path, num_lines: int) -> Any:
    """Die before the first file operation, then before the second, …: a batch that does each operation once more."""
    expected = uninterrupted(folder / "whole", num_lines, Counting)
    for first in range(1, 1000):
        here = begun(folder / f"batch-{first}", num_lines)
        watch = Watch(here, expected)
        code = ended(life(here, Counting(here), lambda at=first: die_at(at)))  # type: ignore[misc]
        assert code in (-9, 1), (code, (here / "said").read_text())
        watch.check()
        if code == 1:
            return {"deaths": first - 1}
        code = ended(life(here, Counting(here)))
        assert code == 1, (code, (here / "said").read_text())
        watch.check()
        assert visible(here) == {"in.jsonl", "out.jsonl", "calls", "said"}
    raise AssertionError("it never ends")


def die_at(number: int) -> None:
    """Let this process die at its file operation of that number; a write leaves its first half."""
    left = number

    def dying(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def operation(*args: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                if name == "write":
                    real(args[0], args[1][: len(args[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **options)

        return operation

    for name in OPERATIONS:
        setattr(os, name, dying(name))


def by_signals(folder: Path, num_lines: int) -> Any:
    """Ctrl-C, then SIGTERM, then to the end; what each life said."""
    expected = uninterrupted(folder / "whole", num_lines, Counting)
    here = begun(folder / "batch", num_lines)
    said, codes = [], []
    for number in (signal.SIGINT, signal.SIGTERM, None):
        size, start_s = len(part(here)), time.monotonic()
        child = life(here, Counting(here, event_s=0 if number is None else 0.02))
        while number is not None and len(part(here)) <= size:
            assert time.monotonic() - start_s < LONGEST_LIFE_S
            time.sleep(0.01)
        if number is not None:
            os.kill(child, number)
        codes.append(ended(child))
        said.append((here / "said").read_text())
    assert (here / "out.jsonl").read_bytes() == expected
    return {"codes": codes, "said": said}


def pebble() -> Any:
    """The real one, loaded once, before all forks."""
    import torch

    torch.set_num_threads(1)
    model = gemsmith.engine.load("pebble")
    return lambda folder: Counting(folder, model)


if __name__ == "__main__":
    mode, where, number = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it, and so would we
    if mode == "pebble":
        result = at_random(where, number, 120, 0.4, pebble())
    elif mode == "fake":
        result = at_random(where, number, 200, 0.2, lambda folder: Counting(folder, event_s=0.0005))
    elif mode == "operations":
        result = at_every_operation(where, number)
    else:
        result = by_signals(where, number)
    print(json.dumps(result))
