"""The loader of the native engine, the choice of instruction sets, and the count of cores."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gemsmith import kernels
from gemsmith.errors import MissingDependencyError

native: Any = kernels.native() if kernels.available() else None
ISAS: list[str] = native.isa_names() if native else []
built = pytest.mark.skipif(native is None, reason="the native engine is not built")


@pytest.fixture
def forgetful() -> Iterator[None]:
    """The loader, before and after which nothing is remembered."""
    kernels._load.cache_clear()
    yield
    kernels._load.cache_clear()


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModuleNotFoundError("No module", name="gemsmith.kernels._native"), "not built when gemsmith was installed"),
        (ImportError("GLIBCXX_3.4.99 not found"), "cannot be loaded .GLIBCXX_3.4.99 not found"),
    ],
)
def test_an_absent_engine_names_what_builds_it(monkeypatch: pytest.MonkeyPatch, error: Exception, said: str) -> None:
    def fail(name: str) -> None:
        raise error

    monkeypatch.setattr(importlib, "import_module", fail)
    assert not kernels.available()
    with pytest.raises(MissingDependencyError, match=said) as caught:
        kernels.native()
    assert "pip install" in str(caught.value) and "compiler" in str(caught.value)


def chosen(isa: str) -> str:
    """What a fresh process says of its instruction set."""
    code = (
        "from gemsmith import kernels\nfrom gemsmith.errors import GemsmithError\n"
        "try: print(kernels.isa())\nexcept GemsmithError as error: print(type(error).__name__, error)"
    )
    environment = os.environ | {"GEMSMITH_ISA": isa}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@built
@pytest.mark.slow
def test_the_environment_chooses_the_instruction_set() -> None:
    assert [chosen(isa) for isa in ISAS] == ISAS
    assert chosen("") == ISAS[0]
    said = chosen("sse9")
    assert said.startswith("SettingError") and "sse9" in said and all(isa in said for isa in ISAS)


@built
def test_cores_are_counted() -> None:
    assert 1 <= native.default_threads() <= (os.cpu_count() or 1)


@built
@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/\n", {}, 0),
        ("0::/\n", {"cpu.max": "max 100000"}, 0),
        ("0::/\n", {"cpu.max": "250000 100000"}, 2),
        ("0::/\n", {"cpu.max": "50000 100000"}, 1),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "200000 100000"}, 2),
        ("0::/host/path\n", {"cpu.max": "400000 100000"}, 4),
        ("0::/\n", {"cpu.max": "nonsense"}, 0),
        (
            "3:memory:/m\n4:cpu,cpuacct:/a\n",
            {"cpu,cpuacct/a/cpu.cfs_quota_us": "150000", "cpu,cpuacct/a/cpu.cfs_period_us": "50000"},
            3,
        ),
        ("4:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, 0),
        ("", {}, 0),
    ],
)
def test_quotas_of_control_groups(tmp_path: Path, groups: str, files: dict[str, str], cores: int) -> None:
    (tmp_path / "cgroup").write_text(groups)
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert native.quota_cores(str(tmp_path / "cgroup"), str(tmp_path / "groups")) == cores
