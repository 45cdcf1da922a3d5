"""The machine, as far as it matters to a language model: system, processor, memory.

Accelerators are with the runtimes that use them."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from gemsmith.cli.doctor.finding import Finding, size
from gemsmith.runtime import probe

LITTLE_MEMORY = 1 << 30  # below this not even torch and a small model have room


def look_at_machine(facts: dict[str, Any]) -> Iterator[Finding]:
    """System, Python, processor, memory."""
    yield from _system(facts)
    yield from _processor(facts)
    yield from _memory(facts)


def _system(facts: dict[str, Any]) -> Iterator[Finding]:
    libc = " ".join(platform.libc_ver()).strip()
    system = f"{platform.system()} {platform.release()} {platform.machine()}" + (f", {libc}" if libc else "")
    facts |= {"system": system, "python": platform.python_version(), "executable": sys.executable}
    yield Finding("ok", "system", system)
    in_environment = "in a virtual environment" if sys.prefix != sys.base_prefix else "not in a virtual environment"
    yield Finding("ok", "python", f"{platform.python_implementation()} {platform.python_version()}, {in_environment}")


def _processor(facts: dict[str, Any]) -> Iterator[Finding]:
    found = probe.processor()
    facts["processor"] = asdict(found)
    cores = f"{found.num_cores} cores, " if found.num_cores else ""
    usable = "" if found.num_usable == found.num_threads else f", {found.num_usable} of them for this process"
    yield Finding("ok", "processor", f"{found.name}: {cores}{found.num_threads} threads{usable}")
    if found.quota is not None and found.quota < found.num_usable:
        share = max(1, round(found.quota))
        yield Finding(
            "note",
            "quota",
            f"this container gets the time of {found.quota:g} cores, yet starts {found.num_usable} threads, which then"
            " wait for each other",
            f"gemsmith run MODEL --threads {share}",
        )
    if found.architecture in ("x86_64", "AMD64") and "AVX2" not in found.instructions and sys.platform == "linux":
        yield Finding("note", "instructions", "no AVX2: this processor computes several times slower than newer ones")
    elif found.instructions:
        yield Finding("ok", "instructions", ", ".join(found.instructions))
    if sys.platform == "darwin" and found.architecture == "x86_64" and "Apple" in found.name:
        yield Finding("note", "python", "runs translated (Rosetta): slow, without the GPU; install one built for arm64")


def _memory(facts: dict[str, Any]) -> Iterator[Finding]:
    total, free, limit = probe.machine_memory(), probe.available_memory(), probe.memory_limit()
    facts["memory"] = {"total": total, "limit": limit, "available": free}
    of = f"{size(total)}, of which this container may use {size(limit)}" if limit else size(total)
    text = f"{size(free)} free of {of}"
    if free < LITTLE_MEMORY:
        yield Finding("note", "memory", f"{text}: too little for any but the smallest models; close other programs")
    else:
        yield Finding("ok", "memory", text)
