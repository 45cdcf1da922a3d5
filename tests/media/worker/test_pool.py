"""A decoding process that crashes, hangs, lies or runs out of memory ends one job, with a sentence from a fixed list.

The jobs here are told to fail (`faults`); no decoder is needed.
"""

from __future__ import annotations

import gc
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from gemsmith.errors import MediaError, MissingDependencyError
from gemsmith.media.settings import MediaSettings
from gemsmith.media.worker import pool as pool_module
from gemsmith.media.worker.pool import Pool, shared
from gemsmith.media.worker.texts import TEXTS
from tests.media.worker.conftest import FAULTS, Faulty

pytestmark = pytest.mark.slow

SAYS_TOO_MUCH = re.compile(r"/|\\|0x[0-9a-f]{4}|Traceback|faults|Error", re.IGNORECASE)


def failure(act: Callable[[], Any]) -> MediaError:
    """The error of a job that fails."""
    with pytest.raises(MediaError) as caught:
        act()
    assert not SAYS_TOO_MUCH.search(str(caught.value)), str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


CRASHES: dict[str, tuple[str, dict[str, Any]]] = {
    "segmentation fault": ("crash", {"signal": signal.SIGSEGV}),
    "abort": ("crash", {"signal": signal.SIGABRT}),
    "killed, as when memory is short": ("crash", {"signal": signal.SIGKILL}),
    "exit": ("leave", {"status": 0}),
    "SystemExit": ("leave_politely", {}),
}
NONSENSE = {"length beyond all": "ffffffff", "an object that means nothing": (b"\0\0\0\2{}").hex()}


@pytest.mark.parametrize("how", CRASHES)
def test_a_crash_ends_one_job(pool: Faulty, file: BinaryIO, how: str) -> None:
    before = pool.pid(file)
    kind, options = CRASHES[how]
    error = failure(lambda: pool.fault(kind, file, **options))
    assert (error.code, str(error)) == ("media_decode_failed", TEXTS["crash"])
    assert pool.pid(file) != before
    assert not Path(f"/proc/{before}").exists()  # no zombie


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_is_recognised(pool: Faulty, file: BinaryIO, what: str) -> None:
    error = failure(lambda: pool.fault("babble", file, MediaSettings(timeout_s=30), bytes=NONSENSE[what]))
    assert (error.code, str(error)) == ("media_decode_failed", TEXTS["nonsense"])
    pool.pid(file)


def test_an_answer_that_cannot_travel_is_nonsense(pool: Faulty, file: BinaryIO) -> None:
    assert str(failure(lambda: pool.fault("unfit", file))) == TEXTS["nonsense"]
    pool.pid(file)


@pytest.mark.parametrize("kind", ["hang", "hold"])
def test_a_hang_is_ended(pool: Faulty, file: BinaryIO, kind: str) -> None:
    before = pool.pid(file)
    start = time.monotonic()
    error = failure(lambda: pool.fault(kind, file, MediaSettings(timeout_s=0.5)))
    assert time.monotonic() - start < 30
    assert (error.code, str(error)) == ("media_decode_failed", TEXTS["hang"].format(seconds=0.5))
    assert pool.pid(file) != before


def test_a_long_clip_is_waited_for_longer(pool: Faulty, file: BinaryIO) -> None:
    pool.pid(file)
    pool.fault("hang", file, MediaSettings(timeout_s=0.5), seconds=1.0, tells=120.0)
    short = MediaSettings(timeout_s=0.5, max_seconds=1.0)
    error = failure(lambda: pool.fault("hang", file, short, tells=1e9))  # no longer than a clip may be
    assert str(error) == TEXTS["hang"].format(seconds=1.0)


def test_too_much_memory(pool: Faulty, file: BinaryIO) -> None:
    """512 MB more than the libraries' share: what fits does, what does not is refused, and the parent pays nothing."""
    settings = MediaSettings(max_memory=128 << 20)
    assert pool.fault("allocate", file, settings, megabytes=64)["held"] == 4
    error = failure(lambda: pool.fault("allocate", file, settings, megabytes=768))
    assert (error.code, str(error)) == ("media_decode_failed", TEXTS["memory"].format(megabytes=128))
    pool.pid(file)


@pytest.mark.parametrize("kind", ["ValueError", "OSError", "RecursionError", "RuntimeError"])
def test_what_a_decoder_raises_is_not_quoted(pool: Faulty, file: BinaryIO, kind: str) -> None:
    before = pool.pid(file)
    error = failure(lambda: pool.fault("fail", file, kind=kind))
    assert (error.code, str(error)) == ("media_damaged", TEXTS["damaged"])
    assert pool.pid(file) == before  # a damaged file costs no process


def test_a_refusal_arrives_as_it_was(pool: Faulty, file: BinaryIO) -> None:
    error = failure(lambda: pool.fault("speak", file, code="media_too_large", message="5 pages, limit 4; name fewer"))
    assert (error.code, str(error)) == ("media_too_large", "5 pages, limit 4; name fewer")


def test_a_refusal_with_odd_words_is_not_shown(pool: Faulty, file: BinaryIO) -> None:
    words = "see /etc/passwd"
    assert str(failure(lambda: pool.fault("speak", file, code="media_damaged", message=words))) == TEXTS["damaged"]


def test_a_missing_package_is_named(pool: Faulty, file: BinaryIO) -> None:
    with pytest.raises(MissingDependencyError, match=r"pip install 'gemsmith\[media\]'"):
        pool.fault("lack", file, module="PIL")


def test_others_are_unaffected(pool: Faulty, file: BinaryIO, tmp_path: Path) -> None:
    """While one process crashes again and again, and so is replaced, the other works on."""
    crashes, pids, wrong = [], set(), []

    def work() -> None:
        with open(tmp_path / "given", "rb") as own:
            for _ in range(30):
                try:
                    pids.add(pool.fault("hang", own, seconds=0.02)["pid"])
                except MediaError as error:
                    wrong.append(str(error))

    worker = threading.Thread(target=work)
    worker.start()
    while worker.is_alive():
        crashes.append(failure(lambda: pool.fault("crash", file)))
    worker.join()
    assert crashes and not wrong
    assert len(pids) <= 2  # the first may have been a process that the main thread left behind


def test_more_threads_than_processes(pool: Faulty, tmp_path: Path) -> None:
    answers: dict[int, bytes] = {}

    def work(number: int) -> None:
        path = tmp_path / str(number)
        path.write_bytes(bytes([number]) * 1000)
        with open(path, "rb") as own:
            for _ in range(5):
                _, arrays = pool.run("fault", own, {"fault": "none"}, MediaSettings())
                answers[number] = arrays[0].tobytes()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: bytes([number]) * 1000 for number in range(6)}


def test_a_process_that_keeps_memory_is_replaced(pool: Faulty, file: BinaryIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "MAX_RESIDENT", 150 << 20)
    before = pool.pid(file)
    assert pool.pid(file) == before
    assert pool.fault("grow", file, megabytes=160)["pid"] == before
    assert pool.pid(file) != before


def test_a_process_that_ended_while_idle_is_replaced(pool: Faulty, file: BinaryIO) -> None:
    before = pool.pid(file)
    os.kill(before, signal.SIGKILL)
    assert pool.pid(file) != before


def test_a_process_that_speaks_unasked_is_replaced(file: BinaryIO) -> None:
    """What it left in the socket would be taken for the next job's answer."""
    pool = Faulty(FAULTS, size=1)
    before = pool.pid(file)
    (process,) = pool._idle
    process._socket.close()
    process._socket, other = socket.socketpair()
    with other:
        other.send(b"{}")
        assert pool.pid(file) != before
    pool.close()


def test_closing_ends_jobs_at_work(pool: Faulty, file: BinaryIO) -> None:
    pool.pid(file)
    threading.Timer(0.3, pool.close).start()
    assert str(failure(lambda: pool.fault("hang", file))) == TEXTS["crash"]
    pool.pid(file)


def test_warming_starts_the_process_that_is_used(file: BinaryIO) -> None:
    pool = Faulty(FAULTS)
    pool.warm(MediaSettings())
    (process,) = pool._idle
    assert pool.pid(file) == process._process.pid
    pool.close()


def test_nothing_piles_up(pool: Faulty, file: BinaryIO) -> None:
    """60 jobs, some of which crash: the parent holds no more descriptors, memory and processes than before."""
    pool.pid(file)
    gc.collect()
    held = len(os.listdir("/proc/self/fd")), resident()
    data = np.ones(1 << 20, dtype=np.uint8)
    with open(file.name, "wb") as large:
        large.write(data)
    for number in range(60):
        if number % 30 == 29:
            failure(lambda: pool.fault("crash", file))
        else:
            pool.pid(file)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= held[0]
    assert resident() - held[1] < 16 << 20
    assert len(pool._all) <= 2


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_only_known_jobs_run(pool: Faulty, file: BinaryIO) -> None:
    with pytest.raises(ValueError, match="no job is called 'fault'; there are: picture,"):
        shared().run("fault", file, {}, MediaSettings())


def test_a_python_that_cannot_start(file: BinaryIO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pool = Pool(FAULTS)
    for executable in (str(tmp_path / "none"), "/bin/false", ""):
        monkeypatch.setattr("sys.executable", executable)
        error = failure(lambda: pool.run("fault", file, {"fault": "none"}, MediaSettings()))
        assert (error.code, str(error)) == ("media_decode_failed", TEXTS["start"])
