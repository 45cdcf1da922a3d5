"""What a GGUF file computes: the logits of the checkpoint it was written from, and those of llama.cpp."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import gemsmith
from bench.gguf_writing import write_gguf
from gemsmith.formats import open_checkpoint, save_checkpoint
from gemsmith.formats.gguf import open_gguf
from gemsmith.hub.names import DEFAULT_TOKENIZER, resolve
from tests.formats.gguf.small import SIZES, random_tensors, text_only, vocabulary

pytest.importorskip("torch")
IDS = [2, *np.random.default_rng(5).integers(300, 4000, 90).tolist()]  # longer than every window
PROMPTS = ("What is 17 + 25?", "Sort these: pear, apple, fig.\n\nThen  say   why.", "naïve 😀 ▁ <b>")


def pebble_file(path: Path, kind: str) -> Path:
    folder = resolve("pebble").path
    assert folder is not None
    checkpoint = open_checkpoint(folder)
    generation = checkpoint.generation_config
    return write_gguf(path, checkpoint.config, checkpoint, vocabulary(), kind, generation=generation)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_float_files_compute_as_the_checkpoint_they_came_from(tmp_path: Path, size: str) -> None:
    name = f"tiny-random-{size}"
    save_checkpoint(tmp_path / "folder", text_only(name), random_tensors(name))
    expected = gemsmith.load(tmp_path / "folder", device="cpu").logits(IDS)
    for separate in (False, True) if size == "26b-a4b" else (False,):
        path = tmp_path / f"{separate}.gguf"
        write_gguf(path, text_only(name), random_tensors(name), vocabulary(), separate_experts=separate)
        np.testing.assert_array_equal(gemsmith.load(path, device="cpu").logits(IDS), expected)


@pytest.mark.slow
def test_quantised_files_compute_with_their_own_values(tmp_path: Path) -> None:
    name = "tiny-random-26b-a4b"
    for kind in ("Q8_0", "Q4_0", "BF16", "F16"):
        path = write_gguf(tmp_path / f"{kind}.gguf", text_only(name), random_tensors(name), vocabulary(), kind)
        floats = dict(open_gguf(path).items())
        as_floats = write_gguf(tmp_path / f"{kind}-f32.gguf", text_only(name), floats, vocabulary())
        found = gemsmith.load(path, device="cpu").logits(IDS)
        np.testing.assert_array_equal(found, gemsmith.load(as_floats, device="cpu").logits(IDS))


@pytest.mark.slow
def test_pebble_from_one_file_answers_as_from_its_folder(tmp_path: Path) -> None:
    path = pebble_file(tmp_path / "pebble.gguf", "BF16")
    here, there = gemsmith.load(path, device="cpu"), gemsmith.load("pebble", device="cpu")
    for prompt in PROMPTS:
        assert here.render(prompt).ids == there.render(prompt).ids
        assert here.chat(prompt, temperature=0, max_tokens=20) == there.chat(prompt, temperature=0, max_tokens=20)


def their_logits(path: Path, ids: list[int]) -> np.ndarray:
    """llama.cpp's, with K and V in float32."""
    llama_cpp = pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    F32 = llama_cpp.GGML_TYPE_F32
    model = llama_cpp.Llama(
        str(path), n_ctx=256, n_batch=256, logits_all=True, verbose=False, n_threads=1, type_k=F32, type_v=F32
    )
    model.eval(ids)
    logits = np.array(model.scores[: len(ids)])
    model.close()
    return logits


@contextmanager
def half_gelu() -> Iterator[None]:
    """ggml looks its GELU up in a table of 16-bit floats (ggml/src/ggml-cpu/vec.h, GGML_GELU_FP16); so do we here.

    That rounding is what our logits and theirs differ by, up to 0.04 in a random model and 0.01 in pebble. With it they
    are equal to 1e-5 in most rows; in some, a number near a tie is rounded the other way.
    """
    from torch import Tensor, where
    from torch.nn import functional

    exact = functional.gelu

    def rounded(x: Tensor, approximate: str) -> Tensor:
        inside = exact(x.half().float(), approximate=approximate).half().float()
        return where(x <= -10, 0.0, where(x >= 10, x, inside))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(functional, "gelu", rounded)
        yield


def check_agreement(path: Path, ids: list[int]) -> None:
    theirs, model = their_logits(path, ids), gemsmith.load(path, device="cpu")
    with half_gelu():
        rounded = np.abs(model.logits(ids) - theirs)
    assert np.median(rounded.max(1)) < 1e-3, rounded.max(1)
    assert np.sqrt((rounded**2).mean()) < 5e-4 * theirs.std()
    assert np.sqrt(((model.logits(ids) - theirs) ** 2).mean()) < 3e-3 * theirs.std()


@pytest.mark.long
@pytest.mark.parametrize("size", SIZES)
def test_llama_cpp_loads_every_size_and_agrees(tmp_path: Path, size: str) -> None:
    name = f"tiny-random-{size}"
    generation = {"suppress_tokens": [4094, 4091]} if size == "12b" else {}
    path = tmp_path / "x.gguf"
    write_gguf(path, text_only(name), random_tensors(name), vocabulary(), generation=generation)
    check_agreement(path, IDS)


@pytest.mark.long
def test_llama_cpp_agrees_on_pebble(tmp_path: Path) -> None:
    path = pebble_file(tmp_path / "pebble.gguf", "F32")
    model = gemsmith.load(path, device="cpu")
    for prompt in PROMPTS:
        ids = list(model.render(prompt).ids)
        check_agreement(path, ids)
        assert np.abs(model.logits(ids) - their_logits(path, ids)).mean() < 1e-3, prompt


@pytest.mark.long
def test_llama_cpp_reads_the_same_tokens(tmp_path: Path) -> None:
    llama_cpp = pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    from gemsmith.tokenizer import load_tokenizer

    path = pebble_file(tmp_path / "pebble.gguf", "Q8_0")
    theirs, ours = llama_cpp.Llama(str(path), vocab_only=True, verbose=False), load_tokenizer(DEFAULT_TOKENIZER)
    for text in ("What is 17 + 25?", "one\ntwo\n\nthree", "a  b   c", "Sort: pear, apple."):
        assert theirs.tokenize(text.encode(), add_bos=False, special=False) == ours.encode(text), text
    theirs.close()
