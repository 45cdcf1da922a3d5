"""What is installed: gemsmith itself, unchanged since its installation; the packages it needs, and those it could use.

Packages are imported in a process of their own, one after the other, since an import may raise anything, hang, or end
the whole process (a wheel built for another processor). The lists come from gemsmith's own metadata.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from gemsmith import kernels
from gemsmith.cli.doctor.finding import Finding
from gemsmith.version import __version__

MODULES = {"pillow": "PIL"}  # where a package's module has another name
NOT_FOR_USERS = ("dev", "docs")
PURPOSES = {
    "torch": "GPUs, pictures and sound, and the reference",
    "train": "training a vocabulary",
    "media": "pictures, sound, PDF",
    "serve": "an HTTP server",
}
IMPORT_TIMEOUT_S = 60
SAID = "gemsmith doctor: "
# prints name and what was raised, if anything was, for each module as it goes
CHILD = """
import json, sys, warnings
warnings.simplefilter("ignore")
paths, modules, mark = json.loads(sys.argv[1])
sys.path[:] = paths
for name in modules:
    try:
        __import__(name)
        said = ""
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"[:300]
    print("\\n" + mark + json.dumps([name, said]), file=sys.__stdout__, flush=True)
"""


class Requirement(NamedTuple):
    """A line of a package's metadata: name, bounds as written, the extra that brings it ("" where all have it)."""

    package: str
    bounds: str
    extra: str

    @property
    def module(self) -> str:
        return MODULES.get(self.package, self.package.replace("-", "_"))

    @property
    def install(self) -> str:
        """What to type for it."""
        if self.extra:
            return f"pip install --upgrade 'gemsmith[{self.extra}]'"
        return f"pip install --upgrade '{self.package}{self.bounds}'"


def look_at_installation(facts: dict[str, Any], *, quick: bool = False) -> Iterator[Finding]:
    """gemsmith, its packages, and (unless `quick`) whether they can be imported."""
    facts["gemsmith"] = __version__
    yield from _ourselves()
    wanted = requirements()
    versions = {each.package: version(each.package) for each in wanted}
    facts["packages"] = dict(versions)
    broken = {} if quick else import_problems([each.module for each in wanted if versions[each.package]])
    facts["broken"] = broken
    good = []
    for each in wanted:
        found = versions[each.package]
        if found is None:
            continue
        if said := broken.get(each.module):
            yield Finding("wrong", each.package, f"{found} cannot be imported: {said}", _reinstall(each))
        elif not is_within(found, each.bounds):
            yield Finding("wrong", each.package, f"{found} is installed, gemsmith needs {each.bounds}", each.install)
        else:
            good.append(f"{each.package} {found}")
    yield Finding("ok", "packages", ", ".join(good) or "none")
    yield from _absent([each for each in wanted if versions[each.package] is None])


def without_torch(facts: dict[str, Any]) -> Iterator[Finding]:
    """In place of the runtimes and the self-test, where the trial found that torch's import fails."""
    from gemsmith.cli.doctor.runtimes import native_engine

    facts["available"] = []
    text = "not imported again, since it might end this process: nothing that runs on it, no self-test"
    yield Finding("wrong", "torch", text)
    yield from native_engine(facts)


def requirements() -> list[Requirement]:
    """Every package that gemsmith's metadata names, once, but for the tools of its developers."""
    try:
        lines = metadata.requires("gemsmith") or []
    except metadata.PackageNotFoundError:
        lines = []
    found: dict[str, Requirement] = {}
    for line in lines:
        spec, _, marker = line.partition(";")
        name, bounds = re.match(r"\s*([\w.-]+)(?:\[[^\]]*\])?\s*(.*)", spec).groups()  # type: ignore[union-attr]
        named = re.search(r"extra\s*==\s*[\"']([\w-]+)", marker)
        extra = named[1] if named else ""
        if name != "gemsmith" and extra not in NOT_FOR_USERS and not (name in found and extra):
            found[name] = Requirement(name, bounds.strip(" ()").replace(" ", ""), extra)
    return list(found.values())


def version(package: str) -> str | None:
    """The installed version; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def is_within(found: str, bounds: str) -> bool:
    """Whether a version keeps to bounds of the kind ">=2.11,<2.16"; other kinds are not judged."""
    for operator, limit in re.findall(r"(>=|<)\s*([\d.]+)", bounds):
        numbers, wanted = _numbers(found), _numbers(limit)
        if (numbers < wanted) if operator == ">=" else (numbers >= wanted):
            return False
    return True


def import_problems(modules: list[str]) -> dict[str, str]:
    """Module -> what its import raised, or how it ended the process that tried."""
    problems: dict[str, str] = {}
    while modules:
        done, ending = _try_imports(modules)
        problems |= {name: said for name, said in done.items() if said}
        modules = [name for name in modules if name not in done]
        if not modules:
            break
        problems[modules[0]] = ending
        modules = modules[1:]
    return problems


def _try_imports(modules: list[str]) -> tuple[dict[str, str], str]:
    """What each module said, as far as the process came, and how it ended."""
    command = [sys.executable, "-c", CHILD, json.dumps([sys.path, modules, SAID])]
    try:
        child = subprocess.run(command, capture_output=True, timeout=IMPORT_TIMEOUT_S, stdin=subprocess.DEVNULL)
        out, code = child.stdout, child.returncode
        ending = f"it ends the process, with signal {-code}" if code < 0 else f"it ends the process, with code {code}"
    except subprocess.TimeoutExpired as late:
        out, ending = late.stdout or b"", f"it is not done after {IMPORT_TIMEOUT_S} seconds"
    done = {}
    for line in out.decode(errors="replace").splitlines():
        if line.startswith(SAID):  # a package may print something too
            name, said = json.loads(line.removeprefix(SAID))
            done[name] = said
    return done, ending


def _ourselves() -> Iterator[Finding]:
    """gemsmith's own files against the sums that the installer wrote down."""
    try:
        files = metadata.files("gemsmith") or []
    except metadata.PackageNotFoundError:
        yield Finding(
            "note", "gemsmith", f"{__version__}, run from a folder without being installed", "pip install -e ."
        )
        return
    known = [file for file in files if file.hash and file.parts[0] == "gemsmith"]
    if not known:
        yield Finding("ok", "gemsmith", f"{__version__}, from a checkout: no sums to compare its files with")
        return
    changed = [str(file) for file in known if not _is_as_installed(Path(str(file.locate())), file.hash)]
    if changed:
        text = f"{__version__}: {len(changed)} of {len(known)} files are not as installed: {', '.join(changed[:3])}"
        yield Finding("wrong", "gemsmith", text, "pip install --force-reinstall --no-deps gemsmith")
    else:
        yield Finding("ok", "gemsmith", f"{__version__}, all {len(known)} files as installed")


def _is_as_installed(path: Path, wanted: Any) -> bool:
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, wanted.mode).digest()
    except (OSError, ValueError):
        return False
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == wanted.value


def _absent(absent: list[Requirement]) -> Iterator[Finding]:
    """What could be installed, an extra a line; without the engine nothing runs at all."""
    extras: dict[str, list[str]] = {}
    for each in absent:
        extras.setdefault(each.extra, []).append(each.package)
    for extra, packages in extras.items():
        names = ", ".join(packages)
        if not extra:
            text, fix = f"{names}: needed, not installed", f"pip install {' '.join(packages)}"
            yield Finding("wrong", "packages", text, fix)
        else:
            mark = "wrong" if extra == "torch" and not kernels.available() else "note"
            purpose = f" (for {PURPOSES[extra]})" if extra in PURPOSES else ""
            yield Finding(mark, extra, f"not installed: {names}{purpose}", f"pip install 'gemsmith[{extra}]'")  # type: ignore[arg-type]


def _reinstall(each: Requirement) -> str:
    return f"pip install --force-reinstall '{each.package}{each.bounds}'"


def _numbers(text: str) -> tuple[int, ...]:
    """2.13.0+cpu -> (2, 13): trailing zeros say nothing."""
    numbers = [int(part) for part in re.match(r"[\d.]*", text)[0].strip(".").split(".") if part]  # type: ignore[index]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
