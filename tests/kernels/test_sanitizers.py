"""The native tests again, with an extension module that checks every address and every undefined operation.

Built with -fsanitize=address,undefined in a folder of its own; Python itself is not, so the sanitizer's library is
loaded before it. `make native-asan` runs this alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTED = ("tests/kernels", "tests/quant", "tests/tokenizer", "tests/runtime/cpu")  # what calls native code
COMPILER = os.environ.get("CXX", "c++")

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform != "linux", reason="the sanitizer is loaded before Python by LD_PRELOAD"),
    pytest.mark.skipif(shutil.which("cmake") is None or shutil.which(COMPILER) is None, reason="no CMake or compiler"),
]


def libraries() -> str:
    """What must be loaded before Python: the sanitizers' own libraries, and C++'s, whose exceptions they watch."""
    found = []
    for name in ("libasan.so", "libubsan.so", "libstdc++.so"):
        path = subprocess.run([COMPILER, f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()
        if os.path.isabs(path):
            found.append(path)
    return ":".join(found)


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension module, checked at every step; -O1 keeps what a report names."""
    pytest.importorskip("nanobind")
    folder = tmp_path_factory.mktemp("sanitized")
    settings = ["-DGEMSMITH_SANITIZE=address,undefined", f"-DPython_EXECUTABLE={sys.executable}"]
    run(["cmake", "-S", f"{ROOT}", "-B", f"{folder}", *settings])
    run(["cmake", "--build", f"{folder}", "--parallel", f"{os.cpu_count()}"])
    (path,) = folder.glob("_native*.so")
    return path


def run(command: list[str], **variables: str) -> str:
    """What a command prints; its last words where it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=ROOT, env=environment | variables, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout


def checked(module: Path, *command: str) -> str:
    """A Python command with the sanitizers watching. Python keeps memory until its end: that is no leak of ours."""
    return run(
        [sys.executable, *command],
        LD_PRELOAD=libraries(),
        ASAN_OPTIONS="detect_leaks=0:abort_on_error=1",
        UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1",
        GEMSMITH_TEST_NATIVE=str(module),
        PYTHONMALLOC="malloc",  # so that Python's own blocks have edges that can be watched
    )


NO_CLOCK = "not within_two_seconds and not within_50_ms"  # limits that a build several times slower cannot keep


def test_native_tests_are_clean(module: Path) -> None:
    folders = [folder for folder in TESTED if (ROOT / folder).is_dir()]
    said = checked(module, "-m", "pytest", "-q", "-p", "tests.other_native", "-m", "not long", "-k", NO_CLOCK, *folders)
    assert " passed" in said


def test_the_sanitizer_is_at_work(module: Path) -> None:
    """An address that is nobody's, read on purpose: the same command must not pass."""
    code = "import tests.other_native, ctypes; ctypes.string_at(ctypes.create_string_buffer(8), 1 << 16)"
    with pytest.raises(AssertionError, match="AddressSanitizer"):
        checked(module, "-c", code)
