"""What the machine has, read from made-up trees of /proc and /sys: control groups of both versions, processors."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from gemsmith.runtime import probe

GB = 1 << 30


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty file system, on a machine of 64 GB of which 48 are free."""
    monkeypatch.setattr(probe, "ROOT", tmp_path)
    monkeypatch.setattr(probe.psutil, "virtual_memory", lambda: SimpleNamespace(total=64 * GB, available=48 * GB))
    return tmp_path


def put(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def group_2(limit: str, used: int, *, cached: int = 0, cpu: str = "max 100000", at: str = "") -> dict[str, str]:
    """The files of a group of version 2 at the path `at`."""
    folder = f"sys/fs/cgroup/{at}"
    return {
        f"{folder}/memory.max": f"{limit}\n",
        f"{folder}/memory.current": f"{used}\n",
        f"{folder}/memory.stat": f"anon 1\ninactive_file {cached}\n",
        f"{folder}/cpu.max": f"{cpu}\n",
    }


def group_1(limit: int, used: int, *, cached: int = 0, at: str = "") -> dict[str, str]:
    folder = f"sys/fs/cgroup/memory/{at}"
    return {
        f"{folder}/memory.limit_in_bytes": f"{limit}\n",
        f"{folder}/memory.usage_in_bytes": f"{used}\n",
        f"{folder}/memory.stat": f"total_inactive_file {cached}\n",
    }


def test_without_groups_the_machine_counts(root: Path) -> None:
    assert probe.total_memory() == 64 * GB
    assert probe.available_memory() == 48 * GB
    assert probe.memory_limit() is None
    assert probe.processor_quota() is None


def test_version_2_in_a_container(root: Path) -> None:
    put(root, {"proc/self/cgroup": "0::/\n"} | group_2(str(8 * GB), 5 * GB, cached=1 * GB, cpu="150000 100000"))
    assert probe.total_memory() == probe.memory_limit() == 8 * GB
    assert probe.available_memory() == 4 * GB, "the page cache is given back"
    assert probe.processor_quota() == 1.5


def test_version_2_takes_the_tightest_group_of_all_around(root: Path) -> None:
    files = {"proc/self/cgroup": "0::/user.slice/job\n"}
    files |= group_2("max", 9 * GB, at="user.slice/job") | group_2(
        str(16 * GB), 10 * GB, at="user.slice", cpu="400000 100000"
    )
    put(root, files)
    assert probe.memory_limit() == 16 * GB
    assert probe.available_memory() == 6 * GB
    assert probe.processor_quota() == 4


def test_version_1_whose_path_is_the_outer_one(root: Path) -> None:
    """In a container /proc tells the path outside; the group itself is mounted as the root."""
    files = {"proc/self/cgroup": "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n"} | group_1(
        4 * GB, 3 * GB, cached=2 * GB
    )
    files["sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us"] = "50000\n"
    files["sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us"] = "100000\n"
    put(root, files)
    assert probe.total_memory() == 4 * GB
    assert probe.available_memory() == 3 * GB
    assert probe.processor_quota() == 0.5


def test_version_1_without_limits(root: Path) -> None:
    """No limit is a number near 2^63 for memory, and -1 for time."""
    files = {"proc/self/cgroup": "4:memory:/\n2:cpu:/\n"} | group_1((1 << 63) - 4096, 3 * GB)
    files |= {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}
    put(root, files)
    assert probe.memory_limit() is None
    assert probe.total_memory() == 64 * GB
    assert probe.available_memory() == 48 * GB
    assert probe.processor_quota() is None


def test_both_versions_mounted(root: Path) -> None:
    files = {"proc/self/cgroup": "4:memory:/job\n0::/\n", "sys/fs/cgroup/unified/cgroup.procs": ""}
    put(root, files | group_1(2 * GB, 1 * GB, at="job"))
    assert probe.memory_limit() == 2 * GB


@pytest.mark.parametrize("text", ["", "max\n", "many\n", "12"])
def test_odd_files_are_no_limit(root: Path, text: str) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/cpu.max": text}
    put(root, files)
    assert probe.memory_limit() is None
    assert probe.processor_quota() is None


def test_more_used_than_allowed_leaves_nothing(root: Path) -> None:
    put(root, {"proc/self/cgroup": "0::/\n"} | group_2(str(GB), 2 * GB))
    assert probe.available_memory() == 0


X86 = "processor\t: 0\nmodel name\t: AMD EPYC 9654\nflags\t\t: fpu avx2 fma avx512f avx512_bf16\n\nprocessor\t: 1\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm bf16\nCPU implementer\t: 0x41\n\nModel\t: Raspberry Pi\n"


def test_a_server_processor(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, {"proc/cpuinfo": X86})
    monkeypatch.setattr(probe.psutil, "cpu_count", lambda logical=True: 8 if logical else 4)
    found = probe.processor()
    assert (found.name, found.num_cores, found.num_threads) == ("AMD EPYC 9654", 4, 8)
    assert found.instructions == ("AVX2", "FMA", "AVX-512", "AVX-512 BF16")


def test_an_arm_processor(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe.sys, "platform", "linux")
    put(root, {"proc/cpuinfo": ARM})
    assert probe.processor().instructions == ("NEON", "dotprod", "i8mm", "bf16")


def test_an_apple_processor(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says = {
        "machdep.cpu.brand_string": "Apple M4\n",
        "hw.optional.arm.FEAT_BF16": "1\n",
        "hw.optional.arm.FEAT_SME": "0\n",
    }
    monkeypatch.setattr(probe.sys, "platform", "darwin")
    monkeypatch.setattr(probe.platform, "machine", lambda: "arm64")
    monkeypatch.setattr(probe, "_sysctl", lambda name: says.get(name, ""))
    found = probe.processor()
    assert (found.name, found.instructions) == ("Apple M4", ("NEON", "bf16"))


def test_cards_that_the_driver_lists(root: Path) -> None:
    assert probe.nvidia_cards() == ()
    put(root, {"proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t NVIDIA H200\nIRQ: 5\n"})
    assert probe.nvidia_cards() == ("NVIDIA H200",)


def test_this_machine() -> None:
    found = probe.processor()
    assert found.name and 1 <= found.num_usable <= found.num_threads
    assert 0 < probe.available_memory() <= probe.total_memory() <= probe.machine_memory()
