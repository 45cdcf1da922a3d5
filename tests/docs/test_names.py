"""What the pages name exists: files and the functions in them, names of the package, options of the commands."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import gemsmith
from docs import parts
from docs.parts import errors
from tests.docs.pages import DOCS, PAGES, ROOT, prose, spans, whole

OF_OTHERS = {"--index-url"}  # options of programs that are not ours


@cache
def defined(path: Path) -> frozenset[str]:
    """Names of a source file: functions, classes, constants, and `Class.method`."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names |= names_of(node, "")
        if isinstance(node, ast.ClassDef):
            names |= {name for inner in node.body for name in names_of(inner, f"{node.name}.")}
    return frozenset(names)


def names_of(node: ast.stmt, before: str) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {before + node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {before + target.id for target in targets if isinstance(target, ast.Name)}


def code_lines(page: Path) -> list[tuple[str, str]]:
    """(file, name) of every paragraph that begins with `Code:`; a file is followed by names of it."""
    found = []
    for paragraph in prose(page).split("\n\n"):
        if paragraph.startswith("Code: "):
            file = ""
            for span in spans(paragraph):
                file, name = (span, "") if span.endswith(".py") else (file, span)
                found.append((file, name))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_and_functions_exist(page: Path) -> None:
    for file, name in code_lines(page):
        assert (ROOT / file).is_file(), f"{page.name} names {file}"
        assert not name or name in defined(ROOT / file), f"{page.name} names {name} of {file}"


def test_the_travel_names_the_code_of_every_step() -> None:
    page = DOCS / "how-a-token-travels.md"
    steps = re.findall(r"^## (?!Exercises)(.+)\n\n(.{0,6})", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(steps) >= 8
    assert all(opening == "Code: " for _, opening in steps), steps
    assert len(code_lines(page)) >= 30


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_paths_and_names_of_the_package_exist(page: Path) -> None:
    for span in spans(prose(page)):
        if span.startswith(("gemsmith/", "docs/", "recipes/")):
            assert (ROOT / span).exists(), f"{page.name} names {span}"
        if re.fullmatch(r"gemsmith(\.\w+)+", span) and span != "gemsmith.toml":
            assert is_ours(span.split(".")[1:]), f"{page.name} names {span}"


def is_ours(names: list[str]) -> bool:
    """Whether `gemsmith.a.b.c` is a module, or something a module defines or offers."""
    if names[0] in gemsmith.__all__:
        return True
    for length in range(len(names), 0, -1):
        base = ROOT.joinpath("gemsmith", *names[:length])
        for file in (base / "__init__.py", base.with_suffix(".py")):
            if file.is_file():
                rest = ".".join(names[length:])
                return not rest or rest in defined(file) or f'"{rest}"' in file.read_text(encoding="utf-8")
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_options_exist(page: Path) -> None:
    known = set(re.findall(r"--[a-z][a-z-]*", parts.part("commands"))) | OF_OTHERS
    told = {option for span in spans(prose(page)) for option in re.findall(r"(?<!\S)--[a-z][a-z-]*", span)}
    assert told <= known, f"{page.name} names {sorted(told - known)}"


def test_names_that_do_not_exist_are_found() -> None:
    assert not is_ours(["config", "no_such_function"])
    assert not is_ours(["no_such_module"])
    assert is_ours(["config", "cost"]) and is_ours(["config", "preset"]) and is_ours(["Message"])


def test_every_export_is_on_the_page_of_the_api() -> None:
    page = whole(DOCS / "python-api.md")
    missing = [name for name in gemsmith.__all__ if f"gemsmith.{name}\n" not in page and name != "__version__"]
    assert not missing
    assert len(errors.exported()) >= 10


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    listed = {
        line for block in re.findall(r"^```\{toctree\}\n(.*?)^```$", index, re.M | re.S) for line in block.split("\n")
    }
    assert {page.stem for page in PAGES} - {"index"} <= listed


def test_every_part_is_on_some_page() -> None:
    used = {name for page in PAGES for name in parts.MARK.findall(page.read_text(encoding="utf-8"))}
    assert used == parts.PARTS.keys()
