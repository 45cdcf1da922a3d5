"""Machines that lack something: a file system to write on, a home, a /tmp, shared memory, the right to map code.

Each command works, or ends with a one-line reason. The file systems are changed in a mount namespace of the test's own
(`unshare`), which the rest of the machine does not see; without the right to make one, only the environment is changed.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ASK = ["run", "pebble", "What is 17 + 25?", "--device", "cpu"]
COMMANDS = [ASK, ["show", "pebble"], ["list"], ["doctor", "--quick"], ["show", "--config"], ["--help"]]

# what is taken away -> shell lines that do it, as root in a mount namespace: before and after what we need is put back
NAMESPACES = {
    "nothing": ("true", "true"),
    "a disk to write on": (
        "true",
        "for m in / /tmp /dev/shm /run /var; do mount --bind $m $m; done; "
        "for m in /var /run /dev/shm /tmp /; do mount -o remount,bind,ro $m; done",
    ),
    "temporary folders": (
        "mount -t tmpfs none /tmp; mount -t tmpfs none /dev/shm",
        "mount -o remount,ro /tmp; mount -o remount,ro /dev/shm",
    ),
    "room on the disk": ("mount -t tmpfs -o size=4k none /tmp", "head -c 9999 /dev/zero > $T/full"),
    "the right to execute": ("mount -t tmpfs -o noexec none /tmp; mount -o remount,noexec /dev/shm", "true"),
}
KEPT = [str(path) for path in {Path(sys.prefix), Path(sys.base_prefix), ROOT} if Path("/tmp") in path.parents]
KEEP = "mount -t tmpfs none /mnt; i=0; for p in {kept}; do i=$((i+1)); mkdir /mnt/$i; mount --rbind $p /mnt/$i; done"
RESTORE = "i=0; for p in {kept}; do i=$((i+1)); mkdir -p $p; mount --rbind /mnt/$i $p; done"


def without(lack: str) -> str:
    """Shell lines that take something away, but for Python and this repository, wherever they are."""
    kept = shlex.join(KEPT)
    before, after = NAMESPACES[lack]
    restore = RESTORE.format(kept=kept) if "none /tmp" in before else "true"
    return f"T=/tmp; ({KEEP.format(kept=kept)}; {before}; {restore}; {after}) 2>/dev/null"


def environment(home: str | None) -> dict[str, str]:
    """A plain one, with this home or none."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "GEMSMITH_", "XDG_", "HOME"))
    }
    return kept | ({} if home is None else {"HOME": home}) | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def can_unshare() -> bool:
    """Whether this process may have a mount namespace of its own."""
    if shutil.which("unshare") is None:
        return False
    return not subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True
    ).returncode


def check(done: subprocess.CompletedProcess[str], words: list[str]) -> None:
    told = done.stderr.strip()
    assert done.returncode in (0, 1) and "Traceback" not in told, (done.returncode, told)
    if words == ASK and done.returncode == 0:
        assert done.stdout.strip() == "42"
    if done.returncode == 1 and words[0] != "doctor":
        assert 0 < len(told.splitlines()) <= 2, told


@pytest.mark.skipif(not can_unshare(), reason="needs unshare, and the right to make a mount namespace")
@pytest.mark.parametrize(
    "words", [ASK, *(pytest.param(words, marks=pytest.mark.long) for words in COMMANDS[1:])], ids=" ".join
)
@pytest.mark.parametrize("lack", NAMESPACES)
def test_on_a_machine_that_lacks(lack: str, words: list[str]) -> None:
    command = shlex.join([sys.executable, "-m", "gemsmith", *words])
    script = f"{without(lack)}; cd {shlex.quote(str(ROOT))}; exec {command}"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        env=environment("/nonexistent"),
        capture_output=True,
        text=True,
        timeout=300,
    )
    check(done, words)
    if words in (ASK, ["show", "pebble"], ["--help"]):
        assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.parametrize("home", [None, "", "/nonexistent", "/dev/null", "relative/home"])
@pytest.mark.parametrize("words", [ASK, ["list"], ["show", "--config"]], ids=" ".join)
def test_without_a_home(words: list[str], home: str | None, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gemsmith", *words]
    done = subprocess.run(command, env=environment(home), cwd=tmp_path, capture_output=True, text=True, timeout=300)
    check(done, words)
    assert done.returncode == 0 and not list(tmp_path.iterdir()), (done.stderr, list(tmp_path.iterdir()))


def test_the_namespaces_take_away_what_they_say() -> None:
    if not can_unshare():
        pytest.skip("needs unshare, and the right to make a mount namespace")
    attempts = {
        "a disk to write on": "touch $T/gemsmith-x || touch /dev/shm/gemsmith-x || touch /var/gemsmith-x",
        "temporary folders": "touch $T/gemsmith-x || touch /dev/shm/gemsmith-x",
        "room on the disk": "head -c 5000 /dev/zero > $T/gemsmith-x",
        "the right to execute": "cp /bin/true $T/gemsmith-x && $T/gemsmith-x",
    }
    assert attempts.keys() | {"nothing"} == NAMESPACES.keys()
    for lack, attempt in attempts.items():
        script = f"{without(lack)}; {attempt}"
        done = subprocess.run(["unshare", "-rm", "sh", "-c", script], env=environment("/root"), capture_output=True)
        assert done.returncode != 0, lack
        script = f"{without('nothing')}; {attempt}; code=$?; rm -f $T/gemsmith-x; exit $code"
        done = subprocess.run(["unshare", "-rm", "sh", "-c", script], env=environment("/root"), capture_output=True)
        assert done.returncode == 0, f"the attempt fails where nothing is lacking: {lack}"
