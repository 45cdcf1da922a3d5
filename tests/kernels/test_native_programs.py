"""native/tests, built and run: on this processor with sanitizers, and for AArch64 on an emulated one.

Three programs walk the instruction sets that the processor reports, and hold all but the portable one against that; the
fourth keeps the thread pool under stress.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = ("agree_matmul", "agree_rows", "agree_attention")
STRICT = {"ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
AARCH64 = {
    "CMAKE_SYSTEM_NAME": "Linux",
    "CMAKE_SYSTEM_PROCESSOR": "aarch64",
    "CMAKE_CXX_COMPILER": "aarch64-linux-gnu-g++",
    "CMAKE_EXE_LINKER_FLAGS": "-static",  # the emulator then needs no libraries of that architecture
}

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("cmake") is None or shutil.which("c++") is None, reason="no CMake or C++ compiler"),
]


def built(folder: Path, target: str = "all", **settings: str) -> Path:
    """The folder with the programs (or one of them), compiled with these CMake settings."""
    definitions = [f"-D{name}={value}" for name, value in {"GEMSMITH_TESTS": "ON", **settings}.items()]
    told("cmake", "-S", f"{ROOT}", "-B", f"{folder}", *definitions)
    told("cmake", "--build", f"{folder}", "--target", target, "--parallel", f"{os.cpu_count()}")
    return folder / "native" / "tests"


def told(*command: str, **variables: str) -> str:
    """What a command prints; its last words where it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GEMSMITH_")}
    done = subprocess.run(command, env=environment | variables, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("sanitized"), GEMSMITH_SANITIZE="address,undefined")


@pytest.mark.parametrize("program", PROGRAMS)
def test_sanitizers_find_nothing_and_all_sets_agree(sanitized: Path, program: str) -> None:
    said = told(f"{sanitized / program}", **STRICT)
    assert "portable" in said and ", 0 failed" in said


def test_the_thread_pool_touches_no_bad_address(sanitized: Path) -> None:
    assert ", 0 failed" in told(f"{sanitized / 'pool_holds'}", "30", **STRICT)


def test_the_thread_pool_has_no_race(tmp_path: Path) -> None:
    programs = built(tmp_path, "pool_holds", GEMSMITH_SANITIZE="thread")
    assert ", 0 failed" in told(f"{programs / 'pool_holds'}", "30", TSAN_OPTIONS="halt_on_error=1")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("qemu-x86_64") is None:
        pytest.skip("needs qemu-user")
    return built(tmp_path_factory.mktemp("plain"), "agree_rows")


@pytest.fixture(scope="module")
def for_aarch64(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("aarch64-linux-gnu-g++") is None or shutil.which("qemu-aarch64") is None:
        pytest.skip("needs g++-aarch64-linux-gnu and qemu-user")
    return built(tmp_path_factory.mktemp("aarch64"), **AARCH64)


@pytest.mark.parametrize("program", PROGRAMS)
def test_neon_agrees_with_the_portable_kernels(for_aarch64: Path, program: str) -> None:
    said = told("qemu-aarch64", "-cpu", "max", f"{for_aarch64 / program}")
    assert "neon" in said and "portable" in said and ", 0 failed" in said


def test_a_processor_without_dot_products_takes_the_portable_kernels(for_aarch64: Path) -> None:
    """A Cortex-A72 (Raspberry Pi 4): what it lacks must not be executed, not even while choosing."""
    said = told("qemu-aarch64", "-cpu", "cortex-a72", f"{for_aarch64 / 'agree_rows'}")
    assert "neon" not in said and "portable" in said


@pytest.mark.skipif(platform.machine() != "x86_64", reason="emulates older processors of this kind alone")
@pytest.mark.parametrize(
    ("processor", "sets"), [("Nehalem", {"portable"}), ("Haswell", {"portable", "avx2"})], ids=["Nehalem", "Haswell"]
)
def test_an_older_processor_takes_what_it_has(plain: Path, processor: str, sets: set[str]) -> None:
    """No instruction that it lacks is executed, not even while choosing: the emulator would end the program."""
    said = told("qemu-x86_64", "-cpu", processor, f"{plain / 'agree_rows'}")
    assert ", 0 failed" in said
    assert {name for name in ("portable", "avx2", "avx512") if name in said} == sets
