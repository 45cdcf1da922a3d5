"""What this machine has: memory that this process may use. Linux control groups (containers) count as the machine."""

from __future__ import annotations

from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")


def total_memory() -> int:
    """Bytes of memory that this process could ever have: the machine's, or its container's limit."""
    return min([int(psutil.virtual_memory().total), *(limit for limit, _ in _limits())])


def available_memory() -> int:
    """Bytes that this process can still take without pushing anything out to disk."""
    available = int(psutil.virtual_memory().available)
    return max(0, min([available, *(limit - used for limit, used in _limits())]))


def _limits() -> list[tuple[int, int]]:
    """Limit and use, in bytes, of this process's control group and of those around it (version 2, then version 1)."""
    found = []
    for folder, limit, used, cached in _groups():
        try:
            most = int((folder / limit).read_text())
            now = int((folder / used).read_text())
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):  # no such limit, or "max"
            continue
        found.append((most, max(0, now - int(stat.get(cached, 0)))))  # the page cache is given back on demand
    return found


def _groups() -> list[tuple[Path, str, str, str]]:
    """Folders of this process's memory groups, innermost first, with the names of their files."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, names = CGROUP, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root, names = CGROUP / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        own = root / path.lstrip("/")
        found += [(folder, *names) for folder in (own, *own.parents) if folder == root or root in folder.parents]
    return found
