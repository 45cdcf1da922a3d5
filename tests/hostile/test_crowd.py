"""Many requests never make many threads, processes, open files or sequences: what was there before is there after."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path

import psutil
import pytest

import gemsmith
from tests.hostile.checkpoint import write_checkpoint

pytest.importorskip("torch")
pytestmark = pytest.mark.slow
NUM = 50


def census() -> tuple[int, int, int, int]:
    """Threads of the system, threads of Python, child processes, open files, of this process."""
    me = psutil.Process()
    return me.num_threads(), threading.active_count(), len(me.children(recursive=True)), me.num_fds()


def use(model: gemsmith.Model) -> None:
    """Answers of every kind: finished, left in the middle, refused."""
    model.chat("hi", max_tokens=2, seed=1)
    model.complete("hi", max_tokens=1)
    model.logits([2, 300])
    events = model.stream("hi", max_tokens=9)
    next(events)
    events.close()
    with pytest.raises(gemsmith.GemsmithError):
        model.chat("hi", temperature=-1)


def test_fifty_requests_need_no_more_than_one() -> None:
    model = gemsmith.load("tiny-random-e2b", device="cpu")
    use(model)
    before = census()
    for _ in range(NUM):
        use(model)
    assert census() == before
    assert not model.runtime._caches  # type: ignore[attr-defined]  # no sequence is left behind


def test_fifty_loads_need_no_more_than_one(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model", "BF16")
    with warnings.catch_warnings(action="ignore"):
        gemsmith.load(folder, device="cpu", dtype="bfloat16").chat("hi", max_tokens=1)
        before = census()
        for _ in range(NUM):
            gemsmith.load(folder, device="cpu", dtype="bfloat16").chat("hi", max_tokens=1)
    assert census() == before


def test_fifty_at_once_make_only_the_callers_threads() -> None:
    model = gemsmith.load("tiny-random-e2b", device="cpu")
    use(model)
    before, most = census(), [0]

    def ask() -> None:
        model.chat("hi", max_tokens=2, seed=1)
        most[0] = max(most[0], census()[0])

    callers = [threading.Thread(target=ask) for _ in range(NUM)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert most[0] <= before[0] + NUM and census()[1:] == before[1:]
