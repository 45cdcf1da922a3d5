"""The floors of the house: who may import whom, where third-party packages live, and what never appears.

Reads the sources, imports nothing. A package imports only from floors below its own, never above or beside. The root
`__init__` re-exports, and no room imports it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "gemsmith"

FLOORS = {
    "cli": 9,
    **dict.fromkeys(("train", "server", "agent", "eval"), 8),
    "engine": 7,
    "runtime": 6,
    **dict.fromkeys(("formats", "parallel", "lora"), 5),
    **dict.fromkeys(("data", "model"), 4),
    **dict.fromkeys(("cache", "quant", "chat"), 3),
    **dict.fromkeys(("tokenizer", "media", "ops", "hub"), 2),
    **dict.fromkeys(("config", "kernels"), 1),
    **dict.fromkeys(("errors", "files", "version"), 0),
}

# third-party package -> rooms that may import it (a path's beginning); what is not listed is imported nowhere
THIRD_PARTY = {
    "numpy": ("",),
    "torch": ("ops", "cache", "model", "lora", "parallel", "train", "runtime/torch", "runtime/cuda"),
    "triton": ("kernels/triton",),
    "PIL": ("media",),
    "av": ("media",),
    "pypdfium2": ("media",),
    "huggingface_hub": ("hub",),
    "filelock": ("hub", "engine", "cli"),
    "psutil": ("runtime",),
    "prompt_toolkit": ("cli",),
    "rich": ("cli",),
    "platformdirs": ("cli", "hub"),
    "llguidance": ("engine",),
    "fastapi": ("server",),
    "uvicorn": ("server",),
}

# `config` is data and `errors` are words: the standard library is enough
STANDARD_LIBRARY_ONLY = ("config", "errors", "files", "version")

CODE_FROM_DATA = {"pickle", "cPickle", "dill", "marshal", "shelve", "joblib", "cloudpickle"}


class Import(NamedTuple):
    """One import statement: where it stands, and what it brings in."""

    file: str
    line: int
    module: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


SOURCES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8"), str(path)) for name, path in SOURCES.items()}


def imports() -> list[Import]:
    """Every import of the package, also those inside functions; `if TYPE_CHECKING` is no excuse."""
    found = []
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found += [Import(file, node.lineno, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{file}:{node.lineno}: write the import in full, from gemsmith..."
                assert node.module
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                found += [Import(file, node.lineno, n if node.module == "gemsmith" else node.module) for n in names]
    return sorted(set(found))


def room(file: str) -> str:
    """The room a source file belongs to: its first folder, or its own name at the root."""
    return file.partition("/")[0].removesuffix(".py")


def test_every_room_is_on_a_floor() -> None:
    rooms = {room(file) for file in SOURCES} - {"__init__", "__main__"}
    assert rooms <= FLOORS.keys(), f"not on any floor of DESIGN: {sorted(rooms - FLOORS.keys())}"


def test_imports_point_down() -> None:
    wrong = []
    for each in imports():
        package, _, rest = each.module.partition(".")
        if package != "gemsmith" or each.file in ("__init__.py", "__main__.py"):
            continue
        here, there = room(each.file), rest.partition(".")[0]
        if not there or there not in FLOORS:
            wrong.append(f"{each}: the root re-exports for users, rooms import from rooms")
        elif here != there and FLOORS[here] <= FLOORS[there]:
            wrong.append(f"{each}: {here} is on floor {FLOORS[here]}, {there} on floor {FLOORS[there]}")
    assert not wrong, "\n".join(wrong)


def test_third_party_packages_stay_in_their_rooms() -> None:
    wrong = []
    for each in imports():
        package = each.module.partition(".")[0]
        if package in ("gemsmith", *sys.stdlib_module_names):
            continue
        rooms = THIRD_PARTY.get(package, ())
        if not each.file.startswith(rooms or "-") or room(each.file) in STANDARD_LIBRARY_ONLY:
            wrong.append(f"{each}, which is allowed in: {', '.join(r or 'every room' for r in rooms) or 'no room'}")
    assert not wrong, "\n".join(wrong)


def test_no_code_comes_from_data() -> None:
    """No pickle, no eval or exec, no shell, no torch.load without weights_only=True."""
    wrong = [str(each) for each in imports() if each.module.partition(".")[0] in CODE_FROM_DATA]
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (reason := forbidden(node)):
                wrong.append(f"{file}:{node.lineno} {reason}")
    assert not wrong, "\n".join(wrong)


def forbidden(call: ast.Call) -> str | None:
    """Why a call may not stand in the package, if it may not."""
    options = {k.arg: k.value.value for k in call.keywords if isinstance(k.value, ast.Constant)}
    name = ast.unparse(call.func)
    if name in ("eval", "exec", "__import__", "os.system", "os.popen"):
        return f"calls {name}"
    if options.get("shell") is True:
        return "starts a shell"
    if name == "torch.load" and options.get("weights_only") is not True:
        return "calls torch.load without weights_only=True"
    if options.get("trust_remote_code") is True:
        return "trusts remote code"
    return None


@pytest.mark.parametrize(
    "source",
    ["eval(text)", "subprocess.run(line, shell=True)", "torch.load(path)", "torch.load(path, weights_only=False)"],
)
def test_what_is_forbidden_is_recognised(source: str) -> None:
    call = ast.parse(source, mode="eval").body
    assert isinstance(call, ast.Call)
    assert forbidden(call)


@pytest.mark.parametrize("source", ["model.eval()", "torch.load(path, weights_only=True)", "re.compile(x)"])
def test_what_is_allowed_is_recognised(source: str) -> None:
    call = ast.parse(source, mode="eval").body
    assert isinstance(call, ast.Call)
    assert forbidden(call) is None


def test_every_module_says_what_it_is_for() -> None:
    silent = [file for file, tree in TREES.items() if tree.body and not ast.get_docstring(tree)]
    assert not silent, f"modules without a docstring: {silent}"


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after running `code`."""
    script = f"import sys\n{code}\nprint(*sys.modules, file=sys.__stderr__)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stderr.split()}


HEAVY = {
    "torch",
    "numpy",
    "PIL",
    "av",
    "pypdfium2",
    "transformers",
    "tokenizers",
    "asyncio",
    "huggingface_hub",
    "prompt_toolkit",
    "rich",
}


def test_import_gemsmith_loads_nothing_heavy() -> None:
    assert not loaded_by("import gemsmith; gemsmith.GemsmithError") & HEAVY


def test_messages_need_no_torch() -> None:
    assert "torch" not in loaded_by("import gemsmith; gemsmith.Message")


def test_help_loads_nothing_heavy() -> None:
    assert not loaded_by("from gemsmith.cli.main import main; main(['--help'])") & HEAVY


@pytest.mark.parametrize("command", ["run", "batch", "transcribe", "show", "doctor", "eval", "bench", "quantize"])
def test_help_of_a_command_loads_nothing_heavy(command: str) -> None:
    assert not loaded_by(f"from gemsmith.cli.main import main; main(['{command}', '--help'])") & HEAVY


def test_tokenising_and_rendering_need_no_torch() -> None:
    rooms = ["chat", "tokenizer", "config", "hub", "formats"]
    code = "import importlib, pkgutil\n" + "\n".join(
        f"import gemsmith.{name}\nfor m in pkgutil.walk_packages(gemsmith.{name}.__path__, 'gemsmith.{name}.'):"
        " importlib.import_module(m.name)"
        for name in rooms
    )
    assert "torch" not in loaded_by(code)
