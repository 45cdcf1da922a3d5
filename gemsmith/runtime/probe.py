"""What this machine has, as far as this process may use it: memory, processor. Containers (control groups) count as
the machine. No framework is asked here; accelerators are found by `runtime.torch.devices`."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path("/")  # below it lie proc, sys and dev

# what a kernel may be chosen by: our name -> how Linux spells it in /proc/cpuinfo (x86 "flags", ARM "Features")
INSTRUCTIONS = {
    "AVX2": "avx2",
    "FMA": "fma",
    "F16C": "f16c",
    "AVX-VNNI": "avx_vnni",
    "AVX-512": "avx512f",
    "AVX-512 VNNI": "avx512_vnni",
    "AVX-512 BF16": "avx512_bf16",
    "AVX-512 FP16": "avx512_fp16",
    "AMX BF16": "amx_bf16",
    "AMX INT8": "amx_int8",
    "NEON": "asimd",
    "dotprod": "asimddp",
    "i8mm": "i8mm",
    "bf16": "bf16",
    "SVE": "sve",
    "SME": "sme",
}
MAC_INSTRUCTIONS = {  # our name -> macOS's, of `sysctl hw.optional.arm`; every Apple processor has NEON
    "dotprod": "hw.optional.arm.FEAT_DotProd",
    "i8mm": "hw.optional.arm.FEAT_I8MM",
    "bf16": "hw.optional.arm.FEAT_BF16",
    "SME": "hw.optional.arm.FEAT_SME",
}


@dataclass(frozen=True)
class Processor:
    """The machine's processors, and how much of them this process gets."""

    name: str
    architecture: str
    num_cores: int | None  # without their second threads; None where the system does not tell
    num_threads: int
    num_usable: int  # threads this process may be scheduled on
    quota: float | None  # cores' worth of time that a container may take; None without a limit
    instructions: tuple[str, ...]


def processor() -> Processor:
    """The processor, with what matters to a language model."""
    return Processor(
        name=_processor_name(),
        architecture=platform.machine(),
        num_cores=psutil.cpu_count(logical=False),
        num_threads=psutil.cpu_count() or 1,
        num_usable=_usable_threads(),
        quota=processor_quota(),
        instructions=_instructions(),
    )


def total_memory() -> int:
    """Bytes of memory that this process could ever have: the machine's, or its container's limit."""
    return min(machine_memory(), memory_limit() or sys.maxsize)


def machine_memory() -> int:
    """Bytes of memory in the machine, whoever may use them."""
    return int(psutil.virtual_memory().total)


def memory_limit() -> int | None:
    """Bytes that a container allows; None where nothing below the machine's own memory does."""
    limits = [limit for limit, _ in _limits() if limit < machine_memory()]
    return min(limits, default=None)


def available_memory() -> int:
    """Bytes that this process can still take without pushing anything out to disk."""
    available = int(psutil.virtual_memory().available)
    return max(0, min([available, *(limit - used for limit, used in _limits())]))


def peak_memory() -> int:
    """The most bytes of memory that this process has ever held at once, pages of mapped files included."""
    for line in _read(ROOT / "proc/self/status").splitlines():
        if line.startswith("VmHWM:"):  # "VmHWM:    31248 kB"; getrusage would count what the parent held when it forked
            return int(line.split()[1]) << 10
    try:
        import resource
    except ImportError:  # Windows
        return int(psutil.Process().memory_info().peak_wset)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def default_threads() -> int:
    """Threads to compute with where nobody says: those this process may use, and no more than its quota of time."""
    return max(1, min(_usable_threads(), int(processor_quota() or sys.maxsize)))


def processor_quota() -> float | None:
    """Cores' worth of processor time that the tightest control group around this process allows."""
    quotas = []
    for folder in _groups("cpu"):
        both = _read(folder / "cpu.max")  # version 2: "200000 100000", or "max 100000"
        words = both.split() or [_read(folder / f"cpu.cfs_{what}_us").strip() for what in ("quota", "period")]
        try:
            quota, period = map(int, words)
        except ValueError:
            continue
        if quota > 0 and period > 0:  # version 1 says -1 for no limit
            quotas.append(quota / period)
    return min(quotas, default=None)


def nvidia_cards() -> tuple[str, ...]:
    """Names of the NVIDIA cards that the kernel's driver lists, whether or not torch can use them."""
    cards = []
    for file in sorted(ROOT.glob("proc/driver/nvidia/gpus/*/information")):
        facts = dict(line.split(":", 1) for line in _read(file).splitlines() if ":" in line)
        cards.append(facts.get("Model", "unknown model").strip())
    return tuple(cards)


def torch_gpu() -> str:
    """What torch would call this machine's GPU, found without importing it ("cuda" for AMD's too); "" without one."""
    if nvidia_cards() or (ROOT / "dev/kfd").exists():
        return "cuda"
    return "mps" if sys.platform == "darwin" and platform.machine() == "arm64" else ""


def _limits() -> list[tuple[int, int]]:
    """Limit and use, in bytes, of this process's memory group and of those around it."""
    found = []
    for folder in _groups("memory"):
        two = (folder / "memory.max").exists()
        limit, used = ("max", "current") if two else ("limit_in_bytes", "usage_in_bytes")
        cached = "inactive_file" if two else "total_inactive_file"
        try:
            most, now = int(_read(folder / f"memory.{limit}")), int(_read(folder / f"memory.{used}"))
            stat = dict(line.split() for line in _read(folder / "memory.stat").splitlines())
            found.append((most, max(0, now - int(stat.get(cached, 0)))))  # the page cache is given back on demand
        except ValueError:  # no such limit, or "max"
            continue
    return found


def _groups(controller: str) -> list[Path]:
    """Folders of this process's control groups that may limit `controller`, innermost first, versions 2 and 1.

    A container sees its own group as the root while /proc tells the outer path, so folders may not exist: the walk
    up to the root finds what does.
    """
    found: list[Path] = []
    top = ROOT / "sys/fs/cgroup"
    for line in _read(ROOT / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root = top / "unified" if (top / "unified").is_dir() else top  # "unified" where both versions are mounted
        elif controller in controllers.split(","):
            root = top / controllers if (top / controllers).is_dir() else top / controller  # "cpu,cpuacct"
        else:
            continue
        own = root / path.lstrip("/")
        found += [folder for folder in (own, *own.parents) if folder == root or root in folder.parents]
    return found


def _usable_threads() -> int:
    """Threads that affinity (taskset, cpusets) leaves to this process."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # macOS, Windows
        return os.cpu_count() or 1


def _processor_name() -> str:
    facts = _cpuinfo()
    named = facts.get("model name") or facts.get("Model") or facts.get("cpu model")  # x86, Raspberry Pi, MIPS
    if named is None and sys.platform == "darwin":
        named = _sysctl("machdep.cpu.brand_string").strip()
    return named or platform.processor() or platform.machine() or "unknown"


def _instructions() -> tuple[str, ...]:
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return ("NEON", *(ours for ours, theirs in MAC_INSTRUCTIONS.items() if _sysctl(theirs).strip() == "1"))
    facts = _cpuinfo()
    flags = set((facts.get("flags") or facts.get("Features") or "").split())
    return tuple(ours for ours, theirs in INSTRUCTIONS.items() if theirs in flags)


def _cpuinfo() -> dict[str, str]:
    """What Linux tells about the first processor."""
    first = _read(ROOT / "proc/cpuinfo").partition("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _sysctl(name: str) -> str:
    """A value that only macOS's own tool tells."""
    try:
        return subprocess.run(["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, timeout=5).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _read(file: Path) -> str:
    """The text of a small system file; empty where there is none."""
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
