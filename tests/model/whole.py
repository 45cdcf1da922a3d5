"""Whole models with their senses: one of ours saved in the released format, and `transformers` reading that folder.

What ours takes as prepared media, the reference takes as what its processors would have made of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gemsmith.config import ModelConfig
from gemsmith.formats import open_checkpoint, save_checkpoint
from gemsmith.formats.tensor import TensorView
from gemsmith.media.prepared import Frames, Pixels, Prepared, Waveform
from gemsmith.model.init import random_senses, random_text_model
from gemsmith.ops import buffers
from gemsmith.runtime.protocol import Run
from gemsmith.runtime.select import open_runtime
from gemsmith.runtime.torch import TorchRuntime

PREFIXES = ("model.language_model.", "model.")  # of the text model, of the senses
SEEN = {"image": 1, "video": 2, "audio": 3}  # the reference's numbers of modalities


def save_random(config: ModelConfig, seed: int, folder: Path, sharpness: float = 1.0) -> None:
    """A checkpoint of this config with weights from a seed, as released files are laid out.

    `sharpness` is that of the text decoder's attention. At 1 a model of random weights is chaotic: a difference of 1e-6
    between soft tokens, which is rounding, becomes one of 1e-4 between logits.
    """
    views = {}
    text = random_text_model(config.text, seed)
    for layer in text.layers:
        layer.self_attn.q_norm.weight.data *= sharpness
    for prefix, part in zip(PREFIXES, (text, random_senses(config, seed)), strict=True):
        for name, tensor in part.state_dict().items():
            shape = tuple(tensor.shape)
            views[prefix + name] = TensorView(prefix + name, shape, "F32", buffers.to_buffer(tensor))
    save_checkpoint(folder, config, views)


def ours(folder: Path, **options: Any) -> TorchRuntime:
    """The folder through our own loading."""
    checkpoint = open_checkpoint(folder)
    runtime = open_runtime(checkpoint.config, checkpoint, device="cpu", **options)
    assert isinstance(runtime, TorchRuntime)
    return runtime


def theirs(folder: Path) -> Any:
    """The folder through `transformers`."""
    from transformers import AutoModelForImageTextToText

    found: Any = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True, attn_implementation={"text_config": "eager"}
    )
    model, told = found
    assert not any(told[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys")), told
    return model.eval()


@dataclass(frozen=True)
class Case:
    """A prompt: ids with placeholders, and the media that go there, in order."""

    ids: list[int]
    media: Sequence[Prepared]


def case(config: ModelConfig, parts: Sequence[int | Prepared], seed: int = 0) -> Case:
    """Numbers are counts of text tokens, drawn at random; media get their begin, placeholders and end."""
    rng = np.random.default_rng(seed)
    ids: list[int] = [config.text.bos_token_id]
    for part in parts:
        if isinstance(part, int):
            ids += rng.integers(300, 4000, part).tolist()
        elif isinstance(part, Frames):
            for frame in part.rgb:  # a time stamp, then the frame, as upstream's processor does
                ids += [*rng.integers(300, 4000, 2).tolist(), *_vision(config, config.video_token_id, frame)]
        elif isinstance(part, Pixels):
            ids += _vision(config, config.image_token_id, part.rgb)
        else:
            assert config.audio is not None and config.boa_token_id and config.audio_token_id and config.eoa_token_id
            count = config.audio.num_soft_tokens(len(part.samples))
            ids += [config.boa_token_id, *[config.audio_token_id] * count, config.eoa_token_id]
    return Case(ids, [part for part in parts if not isinstance(part, int)])


def pixels(height: int, width: int, seed: int = 0) -> Pixels:
    """A picture already resized: a gradient under noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    slope = (255 * (x * rng.random() + y * rng.random()) / (height + width))[..., None]
    rgb = 0.6 * slope + 0.4 * rng.integers(0, 256, (height, width, 3))
    return Pixels(rgb.astype(np.uint8), (width, height))


def frames(count: int, height: int, width: int, seed: int = 0) -> Frames:
    rgb = np.stack([pixels(height, width, seed * 1000 + i).rgb for i in range(count)])
    return Frames(rgb, tuple(map(float, range(count))), (width, height))


def waveform(num_samples: int, seed: int = 0) -> Waveform:
    """A tone under noise."""
    rng = np.random.default_rng(seed)
    tone = np.sin(np.arange(num_samples) * (0.05 + 0.2 * rng.random()))
    return Waveform((0.3 * tone + 0.05 * rng.standard_normal(num_samples)).astype(np.float32))


def our_logits(runtime: TorchRuntime, case: Case) -> np.ndarray:
    """All logits of one run."""
    sequence = runtime.new()
    soft = [runtime.encode(media) for media in case.media]
    logits = runtime.step([Run(sequence, case.ids, range(len(case.ids)), soft)]).logits
    runtime.free(sequence)
    return logits


@torch.inference_mode()
def their_logits(model: Any, case: Case, attention: str = "eager", one_by_one: bool = False) -> np.ndarray:
    """All logits in one shot. Large pictures are always seen with "sdpa": scores of 10,080 patches would not fit.

    `one_by_one` makes soft tokens of each picture, frame and sound by itself, which changes the reference's rounding.
    """
    config = model.config
    ids = torch.tensor([case.ids])
    kinds = torch.zeros_like(ids)
    for kind, number in SEEN.items():
        kinds[ids == getattr(config, f"{kind}_token_id")] = number
    inputs = {**_pictures(config, case.media), **_clips(config, case.media), **_sounds(config, case.media)}
    large = any(x.rgb.shape[-3] * x.rgb.shape[-2] > 300 * 48 * 48 for x in case.media if isinstance(x, Pixels))
    alone = _one_by_one(model) if one_by_one else contextlib.nullcontext()
    with alone, _attention(model, attention, "sdpa" if large else attention):
        # The mask that the reference's generate() asks for: its direct forward of 12B keeps an older rule, in which
        # pictures look both ways on full layers too (transformers issue 46711 settled it for the other sizes).
        hidden = torch.empty(*ids.shape, config.text_config.hidden_size)
        masks = model.create_masks_for_generate(config, hidden, None, None, torch.arange(ids.shape[1])[None], kinds)
        logits: np.ndarray = (
            model(input_ids=ids, attention_mask=masks, mm_token_type_ids=kinds, use_cache=False, **inputs)
            .logits[0]
            .numpy()
        )
    return logits


def _vision(config: ModelConfig, placeholder: int | None, rgb: np.ndarray) -> list[int]:
    assert config.boi_token_id and placeholder and config.eoi_token_id
    count = rgb.shape[0] // 48 * (rgb.shape[1] // 48)
    return [config.boi_token_id, *[placeholder] * count, config.eoi_token_id]


def _pictures(config: Any, media: Sequence[Prepared]) -> dict[str, Tensor]:
    found = [x.rgb for x in media if isinstance(x, Pixels)]
    if not found:
        return {}
    values, places = _patches(config, found)
    return {"pixel_values": values, "image_position_ids": places}


def _clips(config: Any, media: Sequence[Prepared]) -> dict[str, Tensor]:
    found = [x.rgb for x in media if isinstance(x, Frames)]
    if not found:
        return {}
    values, places = _patches(config, [frame for clip in found for frame in clip])
    counts = torch.tensor([len(clip) for clip in found])
    return {"pixel_values_videos": values, "video_position_ids": places, "num_frames_per_video": counts}


def _sounds(config: Any, media: Sequence[Prepared]) -> dict[str, Tensor]:
    found = [x.samples for x in media if isinstance(x, Waveform)]
    if not found:
        return {}
    from transformers.models.gemma4.feature_extraction_gemma4 import Gemma4AudioFeatureExtractor
    from transformers.models.gemma4_unified.feature_extraction_gemma4_unified import Gemma4UnifiedAudioFeatureExtractor

    unified = config.model_type == "gemma4_unified"
    extractor = Gemma4UnifiedAudioFeatureExtractor() if unified else Gemma4AudioFeatureExtractor()
    features = extractor(found, return_tensors="pt")
    return {name: features[name] for name in ("input_features", "input_features_mask")}


def _patches(config: Any, pictures: list[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Patches in [0, 1] and their (column, row), filled up to the longest with zeros and (-1, -1)."""
    side = 48 if config.model_type == "gemma4_unified" else 16
    cut, places = [], []
    for rgb in pictures:
        rows, columns = rgb.shape[0] // side, rgb.shape[1] // side
        squares = rgb.reshape(rows, side, columns, side, 3).swapaxes(1, 2).reshape(rows * columns, -1)
        cut.append(torch.from_numpy((squares * (1 / 255)).astype(np.float32)))
        places.append(torch.tensor([(x, y) for y in range(rows) for x in range(columns)]))
    pad = torch.nn.utils.rnn.pad_sequence
    return pad(cut, batch_first=True), pad(places, batch_first=True, padding_value=-1)


@contextlib.contextmanager
def _attention(model: Any, reading: str, seeing: str) -> Iterator[None]:
    """For the text decoder and the vision tower; the audio tower knows no other than its own."""
    parts = [(model.model.language_model, reading), (getattr(model.model, "vision_tower", None), seeing)]
    before = [(part, part.config._attn_implementation) for part, _ in parts if part is not None]
    for part, implementation in parts:
        if part is not None:
            part.set_attn_implementation(implementation)
    yield
    for part, name in before:
        part.set_attn_implementation(name)


@contextlib.contextmanager
def _one_by_one(model: Any) -> Iterator[None]:
    """Each row of a batch of media goes through its tower alone, without the padding that longer ones brought."""
    core = model.model
    see, watch, hear = core.get_image_features, core.get_video_features, getattr(core, "get_audio_features", None)

    def pictures(values: Tensor, places: Tensor, **options: Any) -> Any:
        parts = [see(*_one(values, places, i), **options) for i in range(len(values))]
        return SimpleNamespace(pooler_output=[part.pooler_output[0] for part in parts])

    def clips(values: Tensor, places: Tensor, num_frames_per_video: Tensor, **options: Any) -> Any:
        one = torch.ones(1, dtype=num_frames_per_video.dtype)
        parts = [watch(*_one(values, places, i), num_frames_per_video=one, **options) for i in range(len(values))]
        return SimpleNamespace(pooler_output=[part.pooler_output[0] for part in parts])

    def sounds(features: Tensor, mask: Tensor, **options: Any) -> Any:
        lengths = mask.sum(-1).tolist()
        parts = [hear(features[i : i + 1, :n], mask[i : i + 1, :n], **options) for i, n in enumerate(lengths)]
        rows = [part.pooler_output[0] for part in parts]
        masks = [part.attention_mask[0] for part in parts]
        pad = partial(torch.nn.utils.rnn.pad_sequence, batch_first=True)
        return SimpleNamespace(pooler_output=pad(rows), attention_mask=pad(masks))

    core.get_image_features, core.get_video_features, core.get_audio_features = pictures, clips, sounds
    yield
    del core.get_image_features, core.get_video_features, core.get_audio_features


def _one(values: Tensor, places: Tensor, i: int) -> tuple[Tensor, Tensor]:
    """Patches of one picture and their places, padding left out."""
    count = int((places[i] >= 0).all(-1).sum())
    return values[i : i + 1, :count], places[i : i + 1, :count]
