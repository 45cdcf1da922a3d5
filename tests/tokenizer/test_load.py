"""Finding a tokenizer where a model is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gemsmith.errors import TokenizerError
from gemsmith.tokenizer import load_tokenizer


def test_a_folder_or_its_file(write_json: Callable[..., Path]) -> None:
    path = write_json()
    assert load_tokenizer(path).encode("ab") == load_tokenizer(path.parent).encode("ab")
    assert load_tokenizer(str(path)).vocab_size == 272  # type: ignore[arg-type]


def test_gguf_is_told_by_its_content(write_gguf: Callable[..., Path]) -> None:
    values = {"model": "gemma4", "tokens": ["a", "b"], "merges": []}
    path = write_gguf(
        {f"tokenizer.ggml.{key}": value for key, value in values.items()} | {"tokenizer.ggml.merges": [""]}
    )
    with pytest.raises(TokenizerError, match="merge ''"):
        load_tokenizer(path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["config.json", "model.safetensors"],
            "found a folder with config.json, model.safetensors; give a folder with",
        ),
        ([], "found a folder with nothing"),
        ([f"{n}.bin" for n in range(9)], "7.bin, …; give"),
    ],
)
def test_a_folder_without_one(tmp_path: Path, names: list[str], message: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(TokenizerError, match=message) as caught:
        load_tokenizer(tmp_path)
    assert f"asked for a tokenizer at {tmp_path}" in str(caught.value)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="No such file"):
        load_tokenizer(tmp_path / "absent")


def test_needs_only_the_standard_library() -> None:
    others = {"torch", "numpy", "tokenizers", "transformers"}
    code = f"import sys; import gemsmith.tokenizer; print({others} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
