"""Media through the runtime: encoding, chunks, decoding afterwards, loading, and models that lack a sense."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gemsmith.config import ModelConfig, preset
from gemsmith.errors import ModelFileError, UnsupportedMediaError
from gemsmith.formats import open_checkpoint
from gemsmith.media.prepared import Frames, Prepared
from gemsmith.model.init import random_text_model
from gemsmith.runtime.protocol import Run
from gemsmith.runtime.select import open_runtime
from gemsmith.runtime.torch import encode, engine
from tests.model.whole import Case, case, frames, our_logits, ours, pixels, save_random, waveform

SIZES = ("e2b", "12b", "31b")
CLOSE: dict[str, Any] = {"rtol": 0, "atol": 2e-4}


def config(size: str = "e2b") -> ModelConfig:
    return preset(f"tiny-random-{size}")


@cache
def runtime(size: str = "e2b") -> Any:
    return open_runtime(config(size), None, device="cpu")


def prompt(size: str) -> Case:
    """Pictures longer than the window of 8, a clip, and sound where there are ears."""
    sound: list[int | Prepared] = [waveform(9_000)] if config(size).audio else []
    return case(config(size), [3, pixels(144, 192), 2, frames(2, 48, 96), *sound, 9])


def test_the_text_of_a_model_with_senses_is_that_of_one_without() -> None:
    ids = list(range(300, 340))
    whole, bare = runtime("e2b"), open_runtime(config().text, None, device="cpu")
    both = [one.step([Run(one.new(), ids, range(40))]).logits for one in (whole, bare)]
    np.testing.assert_array_equal(*both)
    for name, tensor in random_text_model(config().text, 0).state_dict().items():
        assert torch.equal(tensor, whole.model.state_dict()[name]), name


@pytest.mark.parametrize(
    "media, message",
    [
        (pixels(48, 48), "this model cannot see pictures: its config.json has no vision_config"),
        (frames(2, 48, 48), "this model cannot see clips"),
        (waveform(1600), "this model cannot hear: its config.json has no audio_config"),
    ],
)
def test_a_sense_that_is_absent_is_a_clear_error(media: Prepared, message: str) -> None:
    bare = open_runtime(preset("pebble"), None, device="cpu")
    with pytest.raises(UnsupportedMediaError, match=message):
        bare.encode(media)


@pytest.mark.slow
def test_a_model_that_sees_need_not_hear() -> None:
    assert len(runtime("31b").encode(pixels(48, 96))) == 2
    with pytest.raises(UnsupportedMediaError, match="cannot hear"):
        runtime("31b").encode(waveform(1600))
    deaf = open_runtime(replace(config(), audio=None), None, device="cpu")
    blind = open_runtime(replace(config(), vision=None), None, device="cpu")
    assert len(deaf.encode(pixels(48, 96))) == 2 and len(blind.encode(waveform(1600))) == 3
    with pytest.raises(UnsupportedMediaError, match="cannot see"):
        blind.encode(pixels(48, 96))


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_soft_tokens_are_as_many_and_as_wide_as_their_places(size: str) -> None:
    one, each = runtime(size), prompt(size)
    soft = [one.encode(media) for media in each.media]
    assert sum(map(len, soft)) == np.isin(each.ids, [4090, 4093, 4095]).sum()
    for rows in soft:
        assert rows.numpy().shape == (len(rows), 32) and rows.numpy().dtype == np.float32
        assert np.isfinite(rows.numpy()).all() and rows.numpy().std() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_the_same_gives_the_same_and_other_media_other_logits(size: str) -> None:
    one = runtime(size)
    pairs = [(pixels(96, 96, 1), pixels(96, 96, 2)), (frames(2, 48, 48, 1), frames(2, 48, 48, 2))]
    if config(size).audio:
        pairs.append((waveform(8000, 1), waveform(8000, 2)))  # type: ignore[arg-type]
    for this, other in pairs:
        first, again, different = (our_logits(one, case(config(size), [4, media, 3])) for media in (this, this, other))
        np.testing.assert_array_equal(first, again)
        assert np.abs(first[-1] - different[-1]).max() > 0.01
        np.testing.assert_array_equal(first[:5], different[:5])  # what stands before it cannot know


@pytest.mark.slow
def test_one_pixel_and_one_moment_matter() -> None:
    picture, sound = pixels(96, 96), waveform(8000)
    other, later = picture.rgb.copy(), sound.samples.copy()
    other[50, 50] ^= 255
    later[4000:4100] += 0.2
    for this, that in ((picture, replace(picture, rgb=other)), (sound, replace(sound, samples=later))):
        both = [runtime().encode(media).numpy() for media in (this, that)]  # type: ignore[attr-defined]
        assert np.abs(both[0] - both[1]).max() > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("most", [7, 16])
def test_the_runtimes_own_chunks_are_one_shot(size: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    each = prompt(size)
    whole = our_logits(runtime(size), each)
    monkeypatch.setattr(engine, "CHUNK", most)
    np.testing.assert_allclose(our_logits(runtime(size), each), whole, **CLOSE)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_decoding_goes_on_behind_media(size: str) -> None:
    """Prompt, then token by token, beside another sequence with a picture of its own: as if all were read at once."""
    one, each = runtime(size), prompt(size)
    more = [301, 302, 303, 304, 305, 306, 307, 308, 309, 310]
    whole = our_logits(one, Case([*each.ids, *more], each.media))[-len(more) :]
    other = case(config(size), [2, pixels(48, 96, 9), 1])
    this, that = one.new(), one.new()
    soft, other_soft = ([one.encode(media) for media in some.media] for some in (each, other))
    last = len(each.ids) - 1
    rows = one.step([Run(that, other.ids, [0], other_soft), Run(this, each.ids, [last], soft)]).logits
    np.testing.assert_allclose(rows[1], our_logits(one, each)[-1], **CLOSE)
    steps = [one.step([Run(that, [5], [0]), Run(this, [token], [0])]).logits[1] for token in more]
    np.testing.assert_allclose(np.stack(steps), whole, **CLOSE)
    one.free(this)
    one.free(that)


def test_soft_tokens_that_do_not_fit_their_places_are_our_own_bug() -> None:
    one = runtime()
    soft = one.encode(pixels(48, 96))
    with pytest.raises(AssertionError, match="2 soft tokens for 3 placeholders"):
        one.step([Run(one.new(), [2, 4090, 4090, 4090], [3], [soft])])


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_a_long_clip_is_seen_in_parts(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = frames(5, 48, 96)
    whole = runtime(size).encode(clip).numpy()
    alone = [runtime(size).encode(Frames(clip.rgb[i : i + 1], (0.0,), clip.size)).numpy() for i in range(5)]
    np.testing.assert_allclose(whole, np.concatenate(alone), atol=1e-4)
    monkeypatch.setattr(encode, "MOST_PIXELS", 2 * 48 * 96)
    np.testing.assert_allclose(runtime(size).encode(clip).numpy(), whole, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_saved_and_loaded_senses_are_the_same_pages(size: str, tmp_path: Path) -> None:
    """The tensors go through a file, bit for bit; the towers compute with its pages, and a changed file is noticed."""
    folder = tmp_path / "model"
    save_random(config(size), 0, folder)
    loaded, made = ours(folder), runtime(size)
    checkpoint = open_checkpoint(folder)
    for name, tensor in made.senses.state_dict().items():
        assert torch.equal(loaded.senses.state_dict()[name], tensor), name  # type: ignore[union-attr]
        assert checkpoint[f"model.{name}"].shape == tuple(tensor.shape)
    for media in prompt(size).media:
        np.testing.assert_array_equal(loaded.encode(media).numpy(), made.encode(media).numpy())
    file = next(folder.glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(ModelFileError):
        loaded.encode(pixels(48, 48))


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_bfloat16_stays_near_float32(size: str, tmp_path: Path) -> None:
    """Soft tokens of unit spread within a few roundings to 8 bits, most of them; text and senses have one type."""
    coarse = open_runtime(config(size), None, device="cpu", dtype="bfloat16")
    for media in prompt(size).media:
        rough, exact = (one.encode(media) for one in (coarse, runtime(size)))
        assert rough.rows_MD.dtype == torch.bfloat16  # type: ignore[attr-defined]
        error = np.abs(rough.numpy() - exact.numpy())
        assert 0 < np.quantile(error, 0.5) < 0.05 * exact.numpy().std()
    assert our_logits(coarse, prompt(size)).std() > 0.5  # type: ignore[arg-type]
