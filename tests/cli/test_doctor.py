"""`gemsmith doctor`: a page that fits, secrets kept, and every kind of trouble found and named with what to type."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gemsmith import kernels, ops
from gemsmith.cli.doctor import checkpoint, installation, machine, numbers, page, runtimes, surroundings
from gemsmith.cli.doctor.finding import Finding, Section, section, size
from gemsmith.cli.doctor.weights import scan
from gemsmith.config import preset
from gemsmith.config.tensors import all_tensors
from gemsmith.formats.safetensors import write_tensors
from gemsmith.formats.tensor import TensorView
from gemsmith.hub.names import DEFAULT_TOKENIZER
from gemsmith.ops.dispatch import Kernel
from gemsmith.runtime import candidates, probe
from gemsmith.runtime.candidates import Obstacle
from gemsmith.runtime.subjects import made_tensor

CONFIG = preset("tiny-random-31b")


def found(look: Iterator[Finding]) -> dict[str, Finding]:
    """Findings by subject; of several, the worst."""
    order = ("ok", "note", "wrong")
    out: dict[str, Finding] = {}
    for finding in look:
        if finding.subject not in out or order.index(finding.mark) > order.index(out[finding.subject].mark):
            out[finding.subject] = finding
    return out


# The page.


def test_a_page_has_80_columns_and_words_for_marks() -> None:
    long = Finding("wrong", "torch cpu bfloat16", "word " * 60 + "x" * 200, "pip install --force-reinstall torch")
    lines = list(page.lines(Section("self-test", [Finding("ok", "a", "b"), long])))
    assert lines[0] == "self-test" and lines[1].split() == ["ok", "a", "b"]
    assert all(len(line) <= 80 for line in lines)
    assert lines[2].startswith("  wrong  torch cpu bfloat16  word")
    assert lines[-1].strip() == "type: pip install --force-reinstall torch"
    assert not any("\x1b" in line for line in lines)


def test_colour_is_only_added(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Section("s", [Finding("wrong", "a", "b"), Finding("note", "c", "d")])
    plain, coloured = list(page.lines(shown)), "\n".join(page.lines(shown, coloured=True))
    for code in (*page.COLOURS.values(), page.PLAIN):
        coloured = coloured.replace(code, "")
    assert coloured.split("\n") == plain


def test_a_strangers_text_moves_no_cursor() -> None:
    evil = "\x1b[2J\x07\r\nnext\x9b"
    lines = list(page.lines(Section(evil, [Finding("ok", evil, evil, evil)]), coloured=False))
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for line in lines for c in line)


@pytest.mark.parametrize(
    "marks, said",
    [
        (["ok"], "nothing is wrong"),
        (["ok", "note"], "nothing is wrong, 1 note"),
        (["wrong", "note", "note"], "1 thing is wrong, 2 notes: see the lines marked wrong"),
        (["wrong", "wrong"], "2 things are wrong: see the lines marked wrong"),
    ],
)
def test_the_last_line(marks: list[Any], said: str) -> None:
    findings = [Finding(mark, "a", f"text {i}") for i, mark in enumerate(marks)]
    assert page.summary([Section("s", findings)]) == said


def test_what_one_command_mends_is_one_thing() -> None:
    findings = [Finding("wrong", "a", "b", "pip install x"), Finding("wrong", "c", "d", "pip install x")]
    assert page.summary([Section("s", findings)]).startswith("1 thing is wrong")


def test_a_look_that_raises_keeps_what_it_found() -> None:
    def look(facts: dict[str, Any]) -> Iterator[Finding]:
        facts["a"] = 1
        yield Finding("ok", "a", "b")
        raise ZeroDivisionError("by zero")

    got = section("s", look)
    assert [finding.mark for finding in got.findings] == ["ok", "wrong"] and got.facts == {"a": 1}
    assert "ZeroDivisionError: by zero" in got.findings[1].text


def test_sizes() -> None:
    assert [size(n) for n in (0, 999, 1000, 25_276_502_016, 3e15)] == ["0 B", "999 B", "1 kB", "25.3 GB", "3e+03 TB"]


# The machine.


def test_a_container_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "machine_memory", lambda: 64 * 10**9)
    monkeypatch.setattr(probe, "memory_limit", lambda: 8 * 10**9)
    monkeypatch.setattr(probe, "available_memory", lambda: 5 * 10**8)
    shown = probe.Processor("A", "x86_64", 8, 16, 16, 2.0, ("AVX2",))
    monkeypatch.setattr(probe, "processor", lambda: shown)
    facts: dict[str, Any] = {}
    got = found(machine.look_at_machine(facts))
    assert "500 MB free of 64 GB, of which this container may use 8 GB" in got["memory"].text
    assert got["memory"].mark == got["quota"].mark == "note"
    assert got["quota"].fix == "gemsmith run MODEL --threads 2"
    assert facts["memory"]["limit"] == 8 * 10**9


# Packages.


def test_requirements_come_from_the_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "numpy>=2.1",
        'torch<2.16,>=2.11; extra == "torch"',
        'gemsmith[torch]; extra == "train"',
        'pillow>=11 ; extra == "media"',
        'ruff>=0.17; extra == "dev"',
    ]
    monkeypatch.setattr(metadata, "requires", lambda _: lines)
    got = {each.package: each for each in installation.requirements()}
    assert list(got) == ["numpy", "torch", "pillow"]
    assert got["torch"].bounds == "<2.16,>=2.11" and got["torch"].install == "pip install --upgrade 'gemsmith[torch]'"
    assert got["pillow"].module == "PIL" and got["numpy"].install == "pip install --upgrade 'numpy>=2.1'"


@pytest.mark.parametrize(
    "version, bounds, good",
    [
        ("2.13.0+cpu", "<2.16,>=2.11", True),
        ("2.11", ">=2.11.0", True),
        ("2.9.1", "<2.16,>=2.11", False),
        ("2.16.0", "<2.16,>=2.11", False),
        ("0.23.3", ">=0.22", True),
        ("1.0", "", True),
    ],
)
def test_bounds(version: str, bounds: str, good: bool) -> None:
    assert installation.is_within(version, bounds) == good


def test_imports_that_raise_or_die_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {
        "fine_one": "",
        "raising": "raise RuntimeError('libx.so.9: no such file')",
        "leaving": "raise SystemExit('bye')",
        "dying": "import os, signal; os.kill(os.getpid(), signal.SIGILL)",
        "talking": "print('hello'); print('no end', end='')",
        "last_one": "",
    }
    for name, code in modules.items():
        (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    got = installation.import_problems([*modules, "absent_one"])
    assert got == {
        "raising": "RuntimeError: libx.so.9: no such file",
        "leaving": "SystemExit: bye",
        "dying": "it ends the process, with signal 4",
        "absent_one": "ModuleNotFoundError: No module named 'absent_one'",
    }


@pytest.mark.slow
def test_an_import_that_hangs_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "hanging.py").write_text("import time; time.sleep(60)")
    monkeypatch.setattr(installation, "IMPORT_TIMEOUT_S", 1)
    assert installation.import_problems(["hanging"]) == {"hanging": "it is not done after 1 seconds"}


def test_what_is_absent_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [
        installation.Requirement("numpy", ">=2.1", ""),
        installation.Requirement("rich", ">=14", ""),
        installation.Requirement("torch", ">=2.11", "torch"),
        installation.Requirement("pillow", ">=11", "media"),
        installation.Requirement("av", ">=14", "media"),
    ]
    monkeypatch.setattr(installation, "requirements", lambda: wanted)
    monkeypatch.setattr(installation, "version", lambda name: "1.26" if name == "numpy" else None)
    monkeypatch.setattr("gemsmith.kernels.available", lambda: False)
    assert found(installation.look_at_installation({}, quick=True))["torch"].mark == "wrong"
    monkeypatch.setattr("gemsmith.kernels.available", lambda: True)
    got = found(installation.look_at_installation({}, quick=True))
    assert (got["torch"].mark, got["torch"].fix) == ("note", "pip install 'gemsmith[torch]'")
    assert (got["media"].mark, got["media"].fix) == ("note", "pip install 'gemsmith[media]'")
    assert "pillow, av" in got["media"].text
    assert (got["numpy"].mark, got["numpy"].fix) == ("wrong", "pip install --upgrade 'numpy>=2.1'")
    assert (got["packages"].mark, got["packages"].fix) == ("wrong", "pip install rich")


@pytest.mark.parametrize("text, mark", [("as written", "ok"), ("as changed", "wrong")])
def test_files_are_compared_with_the_installers_sums(
    text: str, mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import base64
    import hashlib

    (tmp_path / "gemsmith").mkdir()
    (tmp_path / "gemsmith" / "a.py").write_text(text)
    file = metadata.PackagePath("gemsmith/a.py")
    file.dist = SimpleNamespace(locate_file=lambda path: tmp_path / path)  # type: ignore[assignment]
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"as written").digest()).rstrip(b"=").decode()
    file.hash = metadata.FileHash(f"sha256={digest}")
    monkeypatch.setattr(metadata, "files", lambda _: [file])
    got = found(installation.look_at_installation({}, quick=True))["gemsmith"]
    assert got.mark == mark and ("gemsmith/a.py" in got.text) == (mark == "wrong")


# Surroundings.


def test_no_secret_is_shown() -> None:
    got = surroundings.shown_variables(
        {
            "HF_TOKEN": "hf_sesame",
            "HUGGING_FACE_HUB_TOKEN": "hf_sesame",
            "HF_ENDPOINT": "https://me:sesame@mirror.example/x?key=sesame",
            "https_proxy": "http://me:sesame@proxy:3128",
            "ALL_PROXY": "me:sesame@proxy:1",
            "HTTP_PROXY": "http://me:a@sesame@proxy:1",
            "HTTPS_PROXY": "https://me:a/sesame@proxy:1",
            "HF_HOME": "/models",
            "PATH": "/bin",
            "GEMSMITH_DEBUG": "x" * 200,
        }
    )
    assert "sesame" not in json.dumps(got)
    assert got["HF_TOKEN"] == "(set, not shown)" and got["https_proxy"] == "http://(not shown)@proxy:3128"
    assert got["HF_HOME"] == "/models" and "PATH" not in got and len(got["GEMSMITH_DEBUG"]) == 60


def test_a_folder_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    assert surroundings.folder_problem(tmp_path / "new" / "hub") == ""
    assert surroundings.folder_problem(tmp_path / "file" / "hub") == f"{tmp_path / 'file'} is not a folder"
    assert "no home folder" in surroundings.folder_problem(Path("/somewhere/~/.cache/huggingface/hub"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert surroundings.folder_problem(tmp_path / "hub") == f"{tmp_path} cannot be written to"
    assert not (tmp_path / "new").exists()


def test_a_bad_cache_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "file"))
    got = found(surroundings.look_around({}))["models"]
    assert got.mark == "wrong" and got.fix.startswith("export HF_HOME=")


# Runtimes.


def test_runtimes_say_what_serves_and_why() -> None:
    facts: dict[str, Any] = {}
    got = found(runtimes.look_at_runtimes(facts))
    assert got["torch cpu"].text == "float32 and bfloat16"
    assert set(facts["chosen"]) == set(runtimes.EXAMPLES)
    assert all(choice in facts["available"] for choice in facts["chosen"].values())


def test_a_card_that_torch_cannot_use_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("torch can use the card here")
    monkeypatch.setattr(probe, "nvidia_cards", lambda: ("NVIDIA H200",))
    got = found(runtimes.look_at_runtimes({}))["torch cuda"]
    assert got.mark == "wrong" and "NVIDIA H200 is here, but" in got.text
    assert got.fix == "pip install --force-reinstall torch"


def test_without_torch_the_rest_is_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Obstacle("torch is not installed", "pip install 'gemsmith[torch]'", is_fault=True)
    for module in (candidates, runtimes, numbers):
        monkeypatch.setattr(module, "torch_obstacle", lambda: missing)
    monkeypatch.setattr(numbers, "available_names", lambda: ())  # of models to ask
    for subject, look in (
        ("torch", runtimes.look_at_runtimes({})),
        ("self-test", numbers.self_test({}, lambda _: None)),
    ):
        got = found(look)
        assert (got[subject].mark, got[subject].fix) == ("wrong", "pip install 'gemsmith[torch]'")
    got = found(checkpoint.look_at_model({}, "tiny-random", quick=True, say=lambda _: None))
    assert got["runtime"].fix == "pip install 'gemsmith[torch]'"


@pytest.mark.skipif(not kernels.available(), reason="the native engine was not built")
def test_without_torch_the_native_engine_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_found", "has_torch"):
        monkeypatch.setattr(f"gemsmith.runtime.{'candidates' if name[0] == '_' else 'select'}.{name}", lambda *_: False)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    facts: dict[str, Any] = {}
    got = found(runtimes.look_at_runtimes(facts))
    assert got["native cpu"].mark == "ok" and got["torch"].mark == "note" and facts["native"]["threads"] >= 1
    assert not any(finding.mark == "wrong" for finding in numbers.self_test({}, lambda _: None))


def test_a_gpu_is_told_to_take_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "torch_gpu", lambda: "cuda")
    assert "--device cuda takes torch" in next(runtimes.native_engine({})).text


def test_torch_whose_import_raises(tmp_path: Path) -> None:
    """In a process of its own, where torch is a module that raises; everything but torch is told."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise OSError('libcudart.so.13: cannot open')")
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]  # where other packages may come from
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", "gemsmith", "doctor", "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 1, done.stderr
    told = {each["title"]: each for each in json.loads(done.stdout)["sections"]}
    wrong = next(each for each in told["runtimes"]["findings"] if each["subject"] == "torch")
    assert "libcudart.so.13" in wrong["text"] and wrong["fix"] == "pip install --force-reinstall torch"
    assert told["machine"]["findings"] and told["surroundings"]["facts"]["embedded_models"]


# One model.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole checkpoint of a small model."""
    save(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG.to_json()))
    (tmp_path / "tokenizer.json").write_bytes(DEFAULT_TOKENIZER.read_bytes())
    return tmp_path


def save(folder: Path, **changed: TensorView) -> None:
    tensors = {name: made_tensor(name, shape) for name, shape in all_tensors(CONFIG).items()}
    write_tensors(folder / "model.safetensors", tensors | changed)


def look(folder: Path | str, quick: bool = True) -> dict[str, Finding]:
    return found(checkpoint.look_at_model({}, str(folder), quick=quick, say=lambda _: None))


def bfloat16(name: str, values: np.ndarray) -> TensorView:
    bits = (values.astype("<f4").view("<u4") >> 16).astype("<u2")
    return TensorView(name, values.shape, "BF16", memoryview(bits.tobytes()))


def test_a_good_model(folder: Path) -> None:
    got = look(folder, quick=False)
    assert {finding.mark for finding in got.values()} == {"ok"}
    assert set(got) >= {
        "name",
        "config",
        "tensors",
        "tokenizer",
        "template",
        "sampling",
        "memory",
        "weights",
        "numbers",
    }


def test_a_model_that_is_nowhere() -> None:
    got = look("no-such-model")
    assert list(got) == ["name"] and got["name"].mark == "wrong" and not got["name"].fix


def test_a_model_that_is_only_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(probe, "available_memory", lambda: 1 << 40)
    monkeypatch.setattr("gemsmith.engine.load", lambda source: pytest.fail("it would be downloaded"))
    for name in ("google/gemma-4-E2B-it", "e2b", "gemma4:e2b"):
        got = look(name, quick=False)
        assert got["name"].mark == "note" and "not on this machine" in got["name"].text
        assert got["name"].fix == f"gemsmith pull {name}"
        assert "10.2 GB" in got["takes"].text and got["memory"].mark == "ok"


def test_a_repository_of_which_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    got = look("someone/something")
    assert list(got) == ["name"] and got["name"].mark == "wrong"
    assert got["name"].fix == "gemsmith pull someone/something"


def test_a_stand_in_and_a_bare_config(folder: Path) -> None:
    assert "seed" in look("tiny-random-e2b")["name"].text
    assert look(folder / "config.json")["weights"].mark == "note"


UP = "model.language_model.layers.1.mlp.up_proj.weight"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none(bad: float, folder: Path) -> None:
    values = made_tensor(UP, all_tensors(CONFIG)[UP]).numpy().copy()
    values[3, 5] = bad
    save(folder, **{UP: bfloat16(UP, values)})
    got = look(folder, quick=False)["weights"]
    assert got.mark == "wrong" and f"{UP}: 1 of its numbers are NaN or infinite" in got.text


def test_a_matrix_of_zeros(folder: Path) -> None:
    save(folder, **{UP: bfloat16(UP, np.zeros(all_tensors(CONFIG)[UP]))})
    got = look(folder, quick=False)["weights"]
    assert got.mark == "wrong" and "nothing but zeros" in got.text and UP in got.text


def test_weights_that_are_not_the_configs(folder: Path) -> None:
    save(folder, **{UP: made_tensor(UP, (3, 5))})
    got = look(folder)["tensors"]
    assert got.mark == "wrong" and UP in got.text
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-100])
    assert "cut short" in look(folder)["tensors"].text


@pytest.mark.parametrize(
    "file, text, subject, mark",
    [
        ("config.json", "{", "config", "wrong"),
        ("config.json", '{"model_type": "llama"}', "config", "wrong"),
        ("tokenizer.json", "{}", "tokenizer", "wrong"),
        ("tokenizer.json", None, "tokenizer", "wrong"),
        ("chat_template.jinja", "{{ messages }}", "template", "note"),
        ("generation_config.json", '{"top_p": 7}', "sampling", "wrong"),
        ("generation_config.json", '{"eos_token_id": [99999]}', "sampling", "wrong"),
        ("generation_config.json", '{"eos_token_id": []}', "sampling", "wrong"),
        ("model.safetensors", None, "model", "wrong"),
    ],
)
def test_files_that_are_wrong(file: str, text: str | None, subject: str, mark: str, folder: Path) -> None:
    if text is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(text)
    assert look(folder)[subject].mark == mark


def test_a_model_too_large_for_the_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "available_memory", lambda: 1 << 20)
    got = look(folder, quick=False)
    assert got["memory"].mark == "wrong" and "numbers" not in got


def test_scanning_is_bounded_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gemsmith.cli.doctor.weights.CHUNK", 64)
    values = np.ones((40, 10), "<f4")
    values[0, 0], values[39, 9] = np.nan, np.inf
    told: list[int] = []
    got = scan({"x": TensorView("x", values.shape, "F32", memoryview(values.tobytes()))}, told.append)
    assert got.not_finite == {"x": 2} and got.nbytes == told[-1] == 1600 and len(told) == 25 and not got.all_zero
    half = np.asarray([1, np.inf, 65504, np.nan], "<f2")
    assert scan({"h": TensorView("h", (4,), "F16", memoryview(half.tobytes()))}, told.append).not_finite == {"h": 2}


# The whole command.


@pytest.mark.long
def test_everything_in_one_go_within_the_time_and_without_a_connection(
    gemsmith_: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("doctor opens no connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    started = time.process_time()  # not by the clock: another program may have the processor
    done = gemsmith_("doctor", "--json")
    assert time.process_time() - started < 30
    report = json.loads(done.out)
    facts = {each["title"]: each["facts"] for each in report["sections"]}
    assert [*facts] == ["machine", "installation", "surroundings", "runtimes", "self-test"]
    assert facts["self-test"]["seconds"] > 0
    assert set(facts["self-test"]["checks"]) == set(facts["runtimes"]["available"])
    marks = [f for each in report["sections"] if each["title"] == "self-test" for f in each["findings"]]
    assert {f["mark"] for f in marks} == {"ok"} and done.err == ""


def only_made_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes long and finds no more: imports on trial, the embedded model."""
    monkeypatch.setattr(installation, "import_problems", lambda modules: {})
    monkeypatch.setattr(numbers, "available_names", lambda: ())


def test_progress_is_for_who_watches(gemsmith_: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    watched = gemsmith_("doctor", "tiny-random", terminal=True)
    assert "looking at model tiny-random ..." in watched.err and watched.err.endswith("\r\x1b[K")
    monkeypatch.setenv("TERM", "dumb")
    assert gemsmith_("doctor", "tiny-random", terminal=True).err == ""
    piped = gemsmith_("doctor", "tiny-random")
    assert piped.err == "" and piped.out == watched.out and piped.code == 0


def norm(*args: Any) -> Any:
    return ops.reference.rms_norm(*args) * 1.01


def raising(*_: Any) -> Any:
    raise RuntimeError("CUDA error: no kernel image")


@pytest.mark.slow
@pytest.mark.parametrize("op, broken, said", [("rms_norm", norm, "off by"), ("attention", raising, "no kernel image")])
def test_a_broken_kernel_is_found_and_named(
    op: str, broken: Any, said: str, gemsmith_: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Kernel("fancy", "nowhere:fn", supports="nowhere:supports")
    kernel._fn, kernel._supports = broken, lambda *_: True
    monkeypatch.setattr(getattr(ops, op), "kernels", (kernel,))
    only_made_models(monkeypatch)
    done = gemsmith_("doctor")
    assert done.code == 1
    told = " ".join(done.out.split())
    assert "wrong torch cpu float32" in told and "wrong kernel fancy" in told and said in told
    assert f"{op} on cpu, float32" in told and "ops.without('fancy')" in told
    assert all(len(line) <= 80 for line in done.out.splitlines())


@pytest.mark.slow
def test_a_kernel_that_only_bfloat16_breaks_leaves_a_way_round(
    gemsmith_: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    kernel = Kernel("fancy", "nowhere:fn", supports="nowhere:supports")
    kernel._fn, kernel._supports = (
        lambda *args: ops.reference.attention(*args) * 1.5,
        lambda q, *_: q.dtype == torch.bfloat16,
    )
    monkeypatch.setattr(ops.attention, "kernels", (kernel,))
    only_made_models(monkeypatch)
    done = gemsmith_("doctor")
    told = " ".join(done.out.split())
    assert done.code == 1 and "wrong kernel fancy" in told and "ok torch cpu float32" in told
    assert "type: gemsmith run MODEL --device cpu --dtype float32" in told


@pytest.mark.slow
def test_a_wrong_definition_is_found_too(gemsmith_: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where plain torch itself is wrong, nothing can be compared with it."""
    monkeypatch.setattr(ops.rms_norm, "reference", norm)
    only_made_models(monkeypatch)
    done = gemsmith_("doctor")
    told = " ".join(done.out.split())
    assert done.code == 1 and "plain torch computes wrongly on this processor" in told
    assert "type: pip install --force-reinstall torch" in told and "kernel sdpa" not in told and "spread" in told
