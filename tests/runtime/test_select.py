"""Choosing an engine: settings that cannot be are errors that say what can."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import pytest

from gemsmith.config import preset
from gemsmith.errors import GemsmithError
from gemsmith.runtime import select
from gemsmith.runtime.protocol import Run

TEXT = preset("tiny-random-e2b").text


@pytest.mark.parametrize(
    "options, message",
    [
        ({"backend": "abacus"}, "no backend 'abacus'; known are cpu, torch"),
        ({"dtype": "int3"}, "dtype 'int3' is not one of float32, bfloat16, float16"),
        ({"device": "moon"}, "there is no device 'moon'; known are cpu, cuda"),
        ({"device": "meta"}, "there is no device 'meta'"),
        ({"threads": 0}, "threads must be a whole number from 1 to 1024, found 0"),
        ({"threads": True}, "threads must be .* found True"),
        ({"threads": "2"}, "threads must be .* found '2'"),
    ],
)
def test_impossible_settings(options: dict[str, Any], message: str) -> None:
    with pytest.raises(GemsmithError, match=message):
        select.open_runtime(TEXT, None, **options)


def test_without_torch_the_error_is_the_command_that_installs_it() -> None:
    code = """
        import importlib.abc, sys
        class Absent(importlib.abc.MetaPathFinder):
            def find_spec(self, name, path, target=None):
                if name == "torch":
                    raise ModuleNotFoundError("No module named 'torch'", name="torch")
        sys.meta_path.insert(0, Absent())
        import gemsmith
        try:
            gemsmith.load("tiny-random")
        except gemsmith.MissingDependencyError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60)
    assert "pip install 'gemsmith[torch]'" in done.stdout, done.stderr


def test_a_small_model_computes_in_float32_unless_asked() -> None:
    exact = select.open_runtime(TEXT, None, device="cpu", threads=1)
    coarse = select.open_runtime(TEXT, None, device="cpu", dtype="bfloat16")
    results = [one.step([Run(one.new(), [2, 300, 301], [2])]).hidden for one in (exact, coarse)]
    assert results[0].dtype == results[1].dtype == "float32"
    assert 1e-4 < abs(results[0] - results[1]).max() < 1.0
