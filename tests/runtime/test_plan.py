"""What is said to be needed of memory is what is allocated, and what does not fit is refused before it is."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gemsmith
from gemsmith.config import preset
from gemsmith.errors import GemsmithError
from gemsmith.runtime import plan, probe
from gemsmith.runtime.protocol import Run
from tests.hostile.checkpoint import write_checkpoint

torch = pytest.importorskip("torch")
TINY = ["tiny-random-e2b", "tiny-random-12b", "tiny-random-26b-a4b", "pebble"]
E2B = preset("e2b")
GB = 10**9
ROOT = Path(__file__).parents[2]


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


def give(memory: pytest.MonkeyPatch, nbytes: int) -> None:
    """A machine with so much free memory."""
    memory.setattr(probe, "available_memory", lambda: nbytes)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", TINY)
def test_weights_and_kv_are_those_really_allocated(name: str, dtype: str) -> None:
    """Within 5 %: weights by tensor, keys and values by what a sequence of that length holds."""
    model = gemsmith.load(name, device="cpu", dtype=dtype)
    storages = {p.untyped_storage().data_ptr(): p.untyped_storage().nbytes() for p in parameters(model)}
    context = 600
    found = plan.need(model.config, dtype, context)
    sequence = model.runtime.new()
    model.runtime.step([Run(sequence, [5] * context, [context - 1])])
    assert found.kv == pytest.approx(model.runtime.nbytes(sequence), rel=0.05)  # type: ignore[attr-defined]
    if sum(p.nbytes for p in parameters(model)) == sum(storages.values()):  # its own memory, not a whole file's pages
        assert found.weights == pytest.approx(sum(storages.values()), rel=0.05)
    assert found.weights == sum(p.nbytes for p in parameters(model))
    assert found.total == found.weights + found.kv + found.work + found.margin


def parameters(model: gemsmith.Model) -> list[torch.Tensor]:
    """Of the text decoder and of the senses."""
    runtime: Any = model.runtime
    senses = runtime.senses.state_dict().values() if runtime.senses else ()
    return [*runtime.model.state_dict().values(), *senses]


def test_released_sizes() -> None:
    """Known sizes: E2B has 5.1 billion numbers, 2.35 of them in the table that stays on the disk."""
    whole, mapped = (plan.need(E2B, "bfloat16", 4096, mapped=mapped).weights for mapped in (False, True))
    assert 10 * GB < whole < 10.5 * GB and 4.6 * GB < whole - mapped < 4.8 * GB
    assert 61 * GB < plan.need(preset("31b"), "bfloat16", 4096).weights < 64 * GB
    text_alone = plan.need(E2B.text, "bfloat16", 4096).weights
    assert 0.9 * GB < whole - text_alone < 1 * GB, "two towers of 0.15 and 0.3 billion"


@pytest.mark.parametrize("gb", [6, 10, 11, 12, 40])
def test_the_largest_context_fits_and_the_next_does_not(gb: int) -> None:
    context = plan.largest_context(E2B, "bfloat16", gb * GB)
    assert context % plan.GROWTH == 0 and context <= E2B.text.max_position_embeddings
    if context:
        assert plan.need(E2B, "bfloat16", context).total <= gb * GB
    if context < E2B.text.max_position_embeddings:
        assert plan.need(E2B, "bfloat16", context + plan.GROWTH).total > gb * GB


def test_what_encoding_takes_is_counted() -> None:
    """The tower of 31B on its largest picture: more than the masks of a prompt. 12B, without a tower, takes less."""
    for kind, least, most in (("31b", 0.5 * GB, 0.8 * GB), ("e2b", 0.4 * GB, 0.5 * GB), ("12b", 0.05 * GB, 0.2 * GB)):
        config = preset(kind)
        assert least < plan.senses_work(config, 2) < most, kind
        assert plan.need(config, "bfloat16", 256).work >= plan.senses_work(config, 2)
        assert plan.senses_work(config.text, 2) == 0
    rows = plan.need(preset("12b"), "bfloat16", 100_000).work / (16 * 100_000)
    assert rows == 1120, "a picture that looks both ways is read whole"


def test_what_does_not_fit_is_refused_with_numbers_and_what_to_type(memory: pytest.MonkeyPatch) -> None:
    give(memory, plan.MARGIN + 3_000_000)
    with pytest.raises(GemsmithError) as caught:
        gemsmith.load("tiny-random-e2b", device="cpu", dtype="float32")
    message = str(caught.value)
    assert (
        "tiny-random-e2b in float32 with 2,048 tokens of context needs 0.47 GB" in message
        and "Free are 0.27 GB" in message
    )
    assert "a smaller model" in message


def test_a_context_too_large_names_one_that_fits(memory: pytest.MonkeyPatch) -> None:
    give(memory, plan.need(preset("pebble"), "float32", 600).total)
    with pytest.raises(GemsmithError, match=r"Try --max-context 512 \(max_context=512\)"):
        gemsmith.load("pebble", device="cpu", dtype="float32", max_context=2048)
    assert gemsmith.load("pebble", device="cpu", dtype="float32", max_context=512).max_context == 512


def test_a_smaller_dtype_that_fits_is_named(memory: pytest.MonkeyPatch) -> None:
    give(memory, plan.need(preset("pebble"), "bfloat16", 256).total)
    with pytest.raises(GemsmithError, match=r"--dtype bfloat16 \(dtype='bfloat16'\)"):
        gemsmith.load("pebble", device="cpu", dtype="float32", max_context=256)


def test_without_a_wish_the_context_is_what_fits(memory: pytest.MonkeyPatch) -> None:
    text = preset("e2b").text  # without the senses, whose work hides that of a short context
    give(memory, plan.need(text, "bfloat16", 10_000).total)
    with pytest.warns(UserWarning, match=r"e2b: .* hold 9,984 tokens of context, not the 131,072"):
        assert plan.admitted_context("e2b", text, None, asked=None, dtype="bfloat16", device="cpu") == 9_984
    with pytest.raises(GemsmithError, match="--max-context 9984"):
        plan.admitted_context("e2b", text, None, asked=20_000, dtype="bfloat16", device="cpu")


def test_a_table_that_stays_in_its_file_is_not_counted(memory: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model", "BF16")
    text = preset("tiny-random-e2b").text  # as the folder's, which has no senses
    give(memory, plan.need(text, "bfloat16", 2048, mapped=True).total)
    with warnings.catch_warnings(action="ignore"):
        assert gemsmith.load(folder, device="cpu", dtype="bfloat16").max_context == 2048
        with pytest.raises(GemsmithError, match="Free are"):  # converted weights are all in memory
            gemsmith.load(folder, device="cpu", dtype="float16")


def test_nothing_is_allocated_before_the_refusal(memory: pytest.MonkeyPatch) -> None:
    give(memory, 0)
    for function in ("load_text_model", "load_senses", "make_random_text_model", "make_random_senses"):
        memory.setattr(f"gemsmith.runtime.torch.{function}", lambda *_, **__: pytest.fail("weights were allocated"))
    for name in ("pebble", "tiny-random-e2b"):
        with pytest.raises(GemsmithError, match=r"Free are 0\.00 GB"):
            gemsmith.load(name, device="cpu")


GROUP = Path("/sys/fs/cgroup/memory")  # version 1; version 2 has its files one folder higher


@pytest.fixture
def group() -> Iterator[tuple[Path, str]]:
    """A control group of our own below this process's, as a folder and the name of the file with its limit."""
    for root, limit in ((GROUP, "memory.limit_in_bytes"), (GROUP.parent, "memory.max")):
        folder = root / f"gemsmith-test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        if (folder / limit).exists():
            yield folder, limit
            folder.rmdir()
            return
        folder.rmdir()
    pytest.skip("this process may not make a control group for memory (needs root on Linux)")


INSIDE = """
    import os, sys
    open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
    import gemsmith
    try:
        print(gemsmith.load("pebble", device="cpu").chat("What is 17 + 25?", temperature=0).text)
    except gemsmith.GemsmithError as error:
        sys.exit(str(error))
"""


@pytest.mark.slow
@pytest.mark.parametrize("megabytes, code", [(1200, 0), (300, 1)])
def test_in_a_container_of_this_size(group: tuple[Path, str], megabytes: int, code: int) -> None:
    """For real: enough answers, too little is refused in words; in neither does the system kill the process."""
    folder, limit = group
    (folder / limit).write_text(str(megabytes << 20))
    command = [sys.executable, "-c", textwrap.dedent(INSIDE), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == code, (done.returncode, done.stderr)
    if code:
        assert "needs" in done.stderr and "Free are" in done.stderr and "Traceback" not in done.stderr
    else:
        assert done.stdout.strip() == "42"
