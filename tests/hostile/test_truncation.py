"""Files cut short: while they lie there, and while a model runs from their pages.

A page that is cut away ends the process when it is looked at (SIGBUS), and Python cannot catch that. So a model that
computes with pages of a file asks, before each pass over its weights, whether the file is still what it was. A file cut
during a pass still ends the process; a model whose weights were converted or copied on loading has no such file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import timeit
from pathlib import Path

import pytest

import gemsmith
from gemsmith.errors import ModelFileError
from gemsmith.formats import open_checkpoint
from gemsmith.formats.safetensors import TensorFile
from gemsmith.hub.names import DEFAULT_TOKENIZER
from gemsmith.tokenizer import load_tokenizer
from tests.hostile.checkpoint import FILES, write_checkpoint

pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:.*a chat template we do not know")
NUM_CUTS = 64


@pytest.mark.parametrize("name", sorted({*FILES} - {"chat_template.jinja"}))
def test_cut_at_64_places(name: str, tmp_path: Path) -> None:
    """Each is an error on loading; a JSON file may only lack the end of its last line."""
    folder = write_checkpoint(tmp_path / "model")
    whole = (folder / name).read_bytes()
    text_ends = len(whole.rstrip()) if name.endswith(".json") else len(whole)
    for cut in {text_ends * i // NUM_CUTS for i in range(NUM_CUTS)} | {text_ends - 1}:
        (folder / name).write_bytes(whole[:cut])
        with pytest.raises(ModelFileError, match=name):
            load_tokenizer(folder) if name == "tokenizer.json" else open_checkpoint(folder)


def test_a_model_that_runs_from_a_file_refuses_once_it_is_cut(tmp_path: Path) -> None:
    model = gemsmith.load(write_checkpoint(tmp_path / "model", "BF16"), device="cpu", dtype="bfloat16")
    file = tmp_path / "model" / "model.safetensors"
    before = model.chat("hi", temperature=0, max_tokens=4)
    assert model.chat("hi", temperature=0, max_tokens=4) == before
    os.truncate(file, 4096)
    with pytest.raises(ModelFileError, match=r"model\.safetensors was changed while the model ran from it"):
        model.chat("hi", temperature=0, max_tokens=4)


def test_cut_in_the_middle_of_an_answer(tmp_path: Path) -> None:
    model = gemsmith.load(write_checkpoint(tmp_path / "model", "BF16"), device="cpu", dtype="bfloat16")
    events = model.stream("hi", temperature=0, max_tokens=64)
    next(events)
    os.truncate(tmp_path / "model" / "model.safetensors", 4096)
    with pytest.raises(ModelFileError, match="was changed"):
        list(events)


def test_weights_written_over_in_place_are_noticed_too(tmp_path: Path) -> None:
    model = gemsmith.load(write_checkpoint(tmp_path / "model", "BF16"), device="cpu", dtype="bfloat16")
    with (tmp_path / "model" / "model.safetensors").open("r+b") as file:
        file.seek(-2, os.SEEK_END)
        file.write(b"\0\0")
    with pytest.raises(ModelFileError, match="was changed"):
        model.logits([2, 300])


def test_a_file_replaced_by_renaming_changes_nothing(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model", "BF16")
    model = gemsmith.load(folder, device="cpu", dtype="bfloat16")
    before = model.logits([2, 300])
    (tmp_path / "other").write_bytes(b"other")
    os.replace(tmp_path / "other", folder / "model.safetensors")
    assert (model.logits([2, 300]) == before).all()


def test_converted_weights_need_no_file(tmp_path: Path) -> None:
    model = gemsmith.load(write_checkpoint(tmp_path / "model", "BF16"), device="cpu", dtype="float32")
    before = model.logits([2, 300])
    os.truncate(tmp_path / "model" / "model.safetensors", 0)
    assert (model.logits([2, 300]) == before).all()


UNGUARDED = """
import os, sys
import gemsmith
from gemsmith.files import MappedFile
if sys.argv[2] == "blind":
    MappedFile.check = lambda self: None
model = gemsmith.load(sys.argv[1], device="cpu", dtype="bfloat16")
model.logits([2, 300])
os.truncate(sys.argv[1] + "/model.safetensors", 4096)
try:
    model.logits([2, 300])
except gemsmith.ModelFileError as error:
    sys.exit(7)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems name the signal otherwise")
def test_without_the_question_the_process_dies(tmp_path: Path) -> None:
    """The danger is real: the same steps with and without the check."""
    for sight, code in (("seeing", 7), ("blind", -signal.SIGBUS)):
        folder = write_checkpoint(tmp_path / sight, "BF16")
        command = [sys.executable, "-W", "ignore", "-c", UNGUARDED, str(folder), sight]
        assert subprocess.run(command, capture_output=True).returncode == code


def test_the_question_costs_microseconds() -> None:
    file = TensorFile(DEFAULT_TOKENIZER.parent / "model.safetensors")
    mapped = next(iter(file.values())).buffer.obj
    assert min(timeit.repeat(mapped.check, number=1000, repeat=5)) < 0.1  # type: ignore[attr-defined]
