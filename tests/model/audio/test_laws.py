"""What must hold of hearing whatever the weights: batches, padding, the past alone, length, gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor

from gemsmith.config import AudioConfig, UnifiedAudioConfig, preset
from gemsmith.config.tensors import all_tensors
from gemsmith.model.audio.tower import AudioTower
from tests.model.audio.hearing import Hearing, batch, fill, noises


def tower(seed: int = 0, **change: int) -> AudioTower:
    audio = preset("tiny-random-e2b").audio
    assert isinstance(audio, AudioConfig)
    model = AudioTower(replace(audio, **change))  # type: ignore[arg-type]
    fill(model, seed)
    return model.eval()


@torch.no_grad()
def heard(model: AudioTower, *sounds: np.ndarray) -> list[Tensor]:
    """The valid soft tokens of each sound, all in one batch."""
    soft_BMD, valid_BM = model(*batch(sounds))
    return [soft[valid] for soft, valid in zip(soft_BMD, valid_BM, strict=True)]


@pytest.mark.slow
@hypothesis_settings(max_examples=10)
@given(lengths=st.lists(st.integers(0, 9_000), min_size=1, max_size=4))
def test_a_batch_equals_each_alone(lengths: list[int]) -> None:
    model, sounds = tower(), noises(*lengths)
    for together, sound in zip(heard(model, *sounds), sounds, strict=True):
        assert len(together) == model.audio.num_soft_tokens(len(sound))
        assert _equal(together, heard(model, sound)[0])


@pytest.mark.slow
def test_what_follows_a_sound_changes_nothing() -> None:
    model, (sound,) = tower(), noises(9_000)
    mel_BTF, valid_BT = batch([sound])
    junk_BTF = torch.where(valid_BT[..., None], mel_BTF, 1e4)
    more_BTF, more_BT = torch.full((1, 37, 128), -1e4), torch.zeros(1, 37, dtype=torch.bool)
    with torch.no_grad():
        soft_BMD, valid_BM = model(torch.cat([junk_BTF, more_BTF], 1), torch.cat([valid_BT, more_BT], 1))
    assert soft_BMD.isfinite().all()
    assert _equal(soft_BMD[valid_BM], heard(model, sound)[0])


def test_a_token_hears_its_past_and_no_more() -> None:
    """Three frames ahead of its own four through the convolutions; back, eleven tokens and four more, every layer."""
    model, (mel_BTF, valid_BT) = tower(), batch(noises(48_000))
    changed_BTF = mel_BTF.clone()
    changed_BTF[:, 160] += 3  # the first of the frames of token 40
    with torch.no_grad():
        before_MD, after_MD = model(mel_BTF, valid_BT)[0][0], model(changed_BTF, valid_BT)[0][0]
    changed = (before_MD - after_MD).abs().amax(-1).nonzero().flatten().tolist()
    assert changed[0] == 40
    assert changed[-1] == 40 + model.audio.num_hidden_layers * (11 + 4)


@pytest.mark.slow
def test_longer_than_thirty_seconds_is_heard_to_its_end() -> None:
    model, sounds = tower(), noises(33 * 16_000)
    soft_MD = heard(model, *sounds)[0]
    assert len(soft_MD) == 825
    sounds[0][-2_000:] = 0
    assert (heard(model, *sounds)[0] - soft_MD)[-3:].abs().min(-1).values.max() > 0


@pytest.mark.parametrize("size", ["e2b", "12b"])
def test_two_sounds_differ_and_one_does_not(size: str) -> None:
    hearing = Hearing(preset(f"tiny-random-{size}"))
    fill(hearing, 0)
    first, second = noises(8_000, 8_000)
    with torch.no_grad():
        a, again, b = hearing([first])[0], hearing([first.copy()])[0], hearing([second])[0]
    assert torch.equal(a, again)
    assert (a - b).abs().mean() > 0.1


def test_clips_clip() -> None:
    model, (sound,) = tower(), noises(8_000)
    clipped = heard(model, sound)[0]
    for name, bound in model.named_buffers():
        bound.fill_(-torch.inf if name.endswith("_min") else torch.inf)
    assert (heard(model, sound)[0] - clipped).abs().mean() > 0.05


@pytest.mark.slow
def test_every_weight_learns() -> None:
    model = tower()
    soft_BMD, valid_BM = model(*batch(noises(8_000, 3_000)))
    soft_BMD[valid_BM].square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name


def test_bfloat16_hears_the_same() -> None:
    model, (mel_BTF, valid_BT) = tower(), batch(noises(8_000))
    with torch.no_grad():
        exact, _ = model(mel_BTF, valid_BT)
        rounded, _ = model.bfloat16()(mel_BTF, valid_BT)
    assert rounded.dtype == torch.bfloat16
    assert torch.nn.functional.cosine_similarity(exact, rounded.float(), dim=-1).min() > 0.99


@pytest.mark.parametrize("name", ["e2b", "e4b", "12b", "tiny-random-e2b"])
def test_state_dict_is_the_file(name: str) -> None:
    config = preset(name)
    with torch.device("meta"):
        hearing = Hearing(config)
    ours = {f"model.{key}": tuple(tensor.shape) for key, tensor in hearing.state_dict().items()}
    marks = ("model.audio_tower.", "model.embed_audio.")
    assert ours == {key: shape for key, shape in all_tensors(config).items() if key.startswith(marks)}
    assert len(ours) == (1 if isinstance(config.audio, UnifiedAudioConfig) else 8 + 62 * config.audio.num_hidden_layers)


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a, b, atol=1e-5, rtol=0)
