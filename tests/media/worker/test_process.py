"""What the decoding process may touch, what it sees of its surroundings, and that it ends with its parent."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

import pytest

from gemsmith.media.worker import process
from tests.media.worker.conftest import FAULTS, Faulty

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@LINUX
def test_files_cannot_be_written(pool: Faulty, tmp_path: Path) -> None:
    own = tmp_path / "own"
    with open(tmp_path / "given", "w+b") as given:
        given.write(b"given")
        given.flush()
        outcome = pool.fault("write", given, path=str(own))
    assert outcome == {"own": "OSError", "given": "OSError"}
    assert (tmp_path / "given").read_bytes() == b"given"
    assert not own.exists() or not own.stat().st_size


@LINUX
def test_the_surroundings(file: BinaryIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys in the environment stay with the parent; the folder, the terminal and other open files too."""
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    pool = Faulty(FAULTS)
    file.seek(100)
    with open(file.name, "rb"), open(file.name, "rb"):
        seen = pool.fault("look", file)
    pool.close()
    assert set(seen["environment"]) <= {*process._KEPT, *process._SET, "LC_CTYPE"}
    assert seen["folder"] == "/" and seen["session"]
    assert seen["descriptors"] <= 8  # three standard streams, socket, pipe, job's file, and the listing itself
    assert seen["position"] == 0 and file.tell() == 100


def test_modules_of_the_current_folder_are_not_found(
    file: BinaryIO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("json", "socket", "numpy", "tests"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", ".", *sys.path])
    pool = Faulty(FAULTS)
    pool.pid(file)
    pool.close()


def test_the_module_path_leads_to_this_package(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = os.path.abspath(os.sep + "elsewhere")
    monkeypatch.setattr(sys, "path", ["", "relative", elsewhere])
    assert process.module_path() == [str(ROOT), elsewhere]
    monkeypatch.setattr(sys, "path", [elsewhere, str(ROOT)])
    assert process.module_path() == [elsewhere, str(ROOT)]


START = """
import os, signal, sys, threading, time
from gemsmith.media.settings import MediaSettings
from gemsmith.media.worker.pool import Pool
pool, settings = Pool({"fault": "tests.media.worker.faults"}), MediaSettings()
file = open(sys.argv[1], "rb")
def fault(kind, **options):
    return pool.run("fault", file, {"fault": kind, **options}, settings)[0]
def pids():
    return [process._process.pid for process in pool._all]
def tell(*words):
    print(*words, flush=True)
"""


def script(code: str, file: BinaryIO) -> subprocess.Popen[str]:
    """Another program with a pool of its own; warnings are errors there too."""
    command = [sys.executable, "-W", "error", "-c", START + code, file.name]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def done(code: str, file: BinaryIO) -> str:
    """What it prints, if it ends well and complains of nothing."""
    with script(code, file) as program:
        out, err = program.communicate(timeout=120)
    assert (program.returncode, err) == (0, "")
    return out


def has_ended(pid: int) -> bool:
    """Whether there is no such process; one that nobody has buried yet has ended too."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def await_end(pids: list[int]) -> None:
    for _ in range(600):
        if all(has_ended(pid) for pid in pids):
            return
        time.sleep(0.05)
    raise AssertionError(f"still there: {[pid for pid in pids if not has_ended(pid)]}")


@LINUX
@pytest.mark.parametrize("at_work", ["hang", "hold"])
def test_they_end_when_the_parent_is_killed(file: BinaryIO, at_work: str) -> None:
    """One is idle, the other in the midst of a job, in one case in a loop of C that lets no Python run."""
    code = f"""
fault("hang", seconds=0)
idle = pool._idle.pop()
fault("hang", seconds=0)
pool._idle.insert(0, idle)
threading.Thread(target=fault, args=("{at_work}",), daemon=True).start()
while len(pool._idle) == 2: time.sleep(0.01)
time.sleep(0.3)
tell(*pids())
time.sleep(600)
"""
    with script(code, file) as program:
        assert program.stdout is not None
        pids = [int(pid) for pid in program.stdout.readline().split()]
        assert len(pids) == 2 and not any(has_ended(pid) for pid in pids)
        program.kill()
        await_end(pids)


def test_they_end_with_the_program(file: BinaryIO) -> None:
    """Without a word to the pool, and without a warning of anything left open."""
    pids = [int(pid) for pid in done('fault("none"); file.close(); tell(*pids())', file).split()]
    assert pids
    await_end(pids)


def test_ctrl_c_ends_the_job_and_nothing_else(file: BinaryIO) -> None:
    code = """
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run in the background, deaf to it
before = fault("none")["pid"]
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    fault("hang")
except KeyboardInterrupt:
    tell("interrupted", len(pool._all), before != fault("none")["pid"])
file.close()
"""
    assert done(code, file) == "interrupted 0 True\n"


def test_ctrl_c_of_the_terminal_does_not_reach_an_idle_process(file: BinaryIO) -> None:
    code = """
before = fault("none")["pid"]
os.kill(before, signal.SIGINT)
time.sleep(0.2)
tell(fault("none")["pid"] == before)
file.close()
"""
    assert done(code, file) == "True\n"


@LINUX
def test_a_fork_has_processes_of_its_own(file: BinaryIO) -> None:
    code = """
before = fault("none")["pid"]
child = os.fork()
if not child:
    own = fault("none")["pid"]
    tell("fork", own != before, pids() == [own])
    file.close()
    sys.exit()
os.waitpid(child, 0)
tell("parent", fault("none")["pid"] == before)
file.close()
"""
    assert done(code, file) == "fork True True\nparent True\n"


def test_where_no_signal_ends_a_process_a_thread_does() -> None:
    code = (
        "import sys, time; from gemsmith.media.worker import limits; "
        "limits.end_with_parent(int(sys.argv[1]), by_signal=False); print(1, flush=True); time.sleep(600)"
    )
    ear, lifeline = os.pipe()
    command = [sys.executable, "-c", code, str(ear)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, pass_fds=(ear,)) as program:
        assert program.stdout is not None
        program.stdout.readline()
        assert program.poll() is None
        os.close(lifeline)
        os.close(ear)
        assert program.wait(timeout=60) == 0


def test_the_limits_of_the_child_hold(file: BinaryIO) -> None:
    """They cannot be taken back by the process itself: hard limits equal soft ones."""
    code = """
import resource
from gemsmith.media.worker import limits
limits.apply(64 << 20)
for name in ("RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_NOFILE"):
    soft, hard = resource.getrlimit(getattr(resource, name))
    tell(name, soft, hard)
tell(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
file.close()
"""
    wanted = "RLIMIT_FSIZE 0 0\nRLIMIT_CORE 0 0\nRLIMIT_NOFILE 64 64\nTrue\n"
    assert done(code, file) == wanted


@LINUX
@pytest.mark.parametrize("closed", [(0,), (0, 1, 2)], ids=["no input", "no streams"])
def test_a_program_without_standard_streams(file: BinaryIO, tmp_path: Path, closed: tuple[int, ...]) -> None:
    """Its sockets must not take the streams' numbers, where the child has streams of its own."""
    code = f"""
file.close()
for fd in {closed}: os.close(fd)
file = open(sys.argv[1], "rb")
answer = fault("look")
taken = [process._socket.fileno() for process in pool._all] + [process._lifeline for process in pool._all]
with open({str(tmp_path / "answer")!r}, "w") as answers: print(answer["folder"], min(taken) > 2, file=answers)
os._exit(0)
"""
    with script(code, file) as program:
        program.communicate(timeout=120)
    assert (tmp_path / "answer").read_text() == "/ True\n"


@LINUX
def test_where_no_more_files_can_be_opened(file: BinaryIO) -> None:
    """Whichever of the descriptors is the one too many: a clear error, and none of the others is left open."""
    code = """
import gc, resource
from gemsmith.errors import MediaError
def held():
    gc.collect()
    return sorted(os.listdir("/proc/self/fd"))
before, most, told = held(), resource.getrlimit(resource.RLIMIT_NOFILE), []
for limit in range(4, 64):
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most[1]))
    try:
        told.append(fault("none")["size"])
    except MediaError as error:
        told.append(error.code)
    resource.setrlimit(resource.RLIMIT_NOFILE, most)
    pool.close()
    assert held() == before, limit
    if told[-1] == 5000: break
tell(*dict.fromkeys(told))
file.close()
"""
    assert done(code, file) == "media_decode_failed 5000\n"


def test_a_thread_at_work_does_not_keep_the_program_from_ending(file: BinaryIO) -> None:
    """Nor does its process outlive it."""
    code = """
fault("none")
(pid,) = pids()
threading.Thread(target=fault, args=("hang",), daemon=True).start()
while pool._idle: time.sleep(0.01)
tell(pid)
"""
    with script(code, file) as program:
        out, _ = program.communicate(timeout=120)
    assert program.returncode == 0
    await_end([int(out)])


@LINUX
def test_a_fork_in_the_midst_of_eight_threads_jobs(file: BinaryIO) -> None:
    """Whatever locks they hold at that moment: the fork decodes, and so does its parent."""
    code = """
wrong = []
def work():
    for _ in range(6):
        size = fault("hang", seconds=0.01)
        if "pid" not in size: wrong.append(size)
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
children = []
for _ in range(4):
    time.sleep(0.02)
    child = os.fork()
    if not child:
        os._exit(0 if fault("none")["size"] == 5000 else 1)
    children.append(child)
for thread in threads: thread.join()
tell(wrong, [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children], len(pool._all))
file.close()
"""
    program = script("import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n" + code, file)
    with program:
        out, err = program.communicate(timeout=120)
    assert (program.returncode, out, err) == (0, "[] [0, 0, 0, 0] 2\n", "")


def test_jobs_of_an_event_loop(file: BinaryIO) -> None:
    """From its threads, with one that is given up: the rest are answered, and the loop's own children too."""
    code = """
import asyncio
async def main():
    jobs = [asyncio.to_thread(fault, "hang", seconds=0.01) for _ in range(8)]
    given_up = asyncio.create_task(asyncio.to_thread(fault, "hang", seconds=0.1))
    await asyncio.sleep(0.01)
    given_up.cancel()
    answers = await asyncio.gather(*jobs)
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    tell(len(answers), given_up.cancelled(), await other.wait())
asyncio.run(main())
file.close()
"""
    assert done(code, file) == "8 True 0\n"
