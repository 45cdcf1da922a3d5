"""`kill -9` at random instants of a pull: nothing half-written is ever visible, nothing is fetched twice, nothing lost.

A process that has imported everything forks one child a pull, so that an attempt costs milliseconds.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gemsmith.hub.cache import INCOMPLETE, find
from gemsmith.hub.known import Wanted
from tests.hub.conftest import NEEDED, REPO, assert_whole_or_invisible, small_files
from tests.hub.imitation import LARGE, Faults, Imitation, hub_sum

KILLS = 100
PEBBLE = Path(__file__).parents[2] / "gemsmith" / "hub" / "pebble"

NURSERY = """
import asyncio, os, sys, time
import huggingface_hub.utils, filelock
from huggingface_hub.errors import HfHubHTTPError
from gemsmith.hub.known import Wanted
from gemsmith.hub.pull import Terms, pull

STEPS = ("replace", "rename", "symlink", "mkdir", "unlink", "rmdir", "fsync", "write", "chmod", "ftruncate")

def dying(real):
    def call(*args, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)
        return real(*args, **options)
    return call

for line in sys.stdin:
    repo, seconds, steps = line.split()
    child = os.fork()
    if not child:
        left = int(steps)
        if left >= 0:
            for name in STEPS:
                setattr(os, name, dying(getattr(os, name)))
        code = 1
        try:
            pull(Wanted(repo), Terms())
            code = 0
        finally:
            os._exit(code)
    if float(seconds):
        time.sleep(float(seconds))
        os.kill(child, 9)  # it was not waited for yet, so the number is still its own
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Nursery:
    """Starts pulls, and kills them."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", NURSERY], stdin=-1, stdout=-1, text=True)

    def pull(self, repo: str, *, kill_after_s: float = 0.0, kill_after_steps: int = -1) -> int:
        """The exit code of a pull: 0, or -9 where it was killed in time or before that step on the disk."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{repo} {kill_after_s} {kill_after_steps}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@pytest.fixture
def nursery(hub: Imitation) -> Iterator[Nursery]:
    it = Nursery()
    yield it
    it.close()


def on_disk(cache: Path) -> dict[str, int]:
    """Bytes of every blob, whole or begun, by sum."""
    blobs = (cache / "models--google--gemma-4-E2B-it" / "blobs").glob("*")
    return {blob.name.removesuffix(INCOMPLETE): blob.stat().st_size for blob in blobs}


def assert_not_fetched_again(hub: Imitation, before: dict[str, int]) -> None:
    """Every request begins where the disk ended."""
    for name in NEEDED:
        data = hub.repos[REPO][name]
        have = before.get(hub_sum(data), 0)
        if len(data) >= LARGE:
            assert all(seen.start == have < len(data) for seen in hub.fetched(data)), name
        elif have == len(data):
            assert not any(seen.path.endswith(f"/{name}") for seen in hub.seen), name


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_kill_9_at_100_random_instants(hub: Imitation, cache: Path, nursery: Nursery) -> None:
    chance = random.Random(9)
    weights = (PEBBLE / "model.safetensors").read_bytes()
    hub.add(REPO, small_files() | {"model.safetensors": weights})
    hub.faults = Faults(bytes_per_s=60e6)

    assert nursery.pull(REPO) == 0  # the first pays for what is made once
    shutil.rmtree(cache)
    begun = time.monotonic()
    assert nursery.pull(REPO) == 0
    window_s = min(time.monotonic() - begun, 2.0)
    shutil.rmtree(cache)

    killed = completed = instants = 0
    while killed < KILLS:
        before = on_disk(cache)
        hub.forget()
        code = nursery.pull(REPO, kill_after_s=chance.uniform(0.001, window_s))
        instants += 1
        visible = assert_whole_or_invisible(cache, hub)
        assert (find(Wanted(REPO)) is not None) is visible
        assert_not_fetched_again(hub, before)
        after = on_disk(cache)
        assert all(after[name] >= size for name, size in before.items())  # what had arrived is still there
        killed += code == -signal.SIGKILL
        window_s *= 0.8 if visible else 1.05  # a busy machine is slower, and then less so: some four kills a model
        if code == 0 or visible:
            completed += 1
            assert nursery.pull(REPO) == 0 and assert_whole_or_invisible(cache, hub)
            shutil.rmtree(cache)
        assert instants < 3 * KILLS, "this machine is too fast for the instants that were chosen"
    assert nursery.pull(REPO) == 0
    assert assert_whole_or_invisible(cache, hub)
    assert not list(cache.glob(f"*/blobs/*{INCOMPLETE}")) and not list(cache.glob("*/.gemsmith*"))
    print(f"{killed} kills in {instants} pulls, {completed} models completed on the way")


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_kill_9_before_every_step_that_changes_the_disk(hub: Imitation, cache: Path, nursery: Nursery) -> None:
    """Not at random, but once before every single rename, link, write, folder and removal."""
    hub.add(REPO, small_files())
    for step in range(200):
        shutil.rmtree(cache, ignore_errors=True)
        code = nursery.pull(REPO, kill_after_steps=step)
        visible = assert_whole_or_invisible(cache, hub)
        if code == 0:
            assert visible and step > 20
            return
        assert code == -signal.SIGKILL
        if step % 4 == 0:  # what is left is no hindrance
            assert nursery.pull(REPO) == 0 and assert_whole_or_invisible(cache, hub)
    raise AssertionError("a pull of more than 200 steps")
