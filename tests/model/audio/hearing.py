"""Hearing of a tiny model, twice: as `transformers` computes it and as we do, from one file in the released format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from gemsmith.config import AudioConfig, ModelConfig, UnifiedAudioConfig
from gemsmith.formats import open_checkpoint
from gemsmith.media.framing import frames_of
from gemsmith.media.mel import log_mel
from gemsmith.model.audio.tower import AudioTower
from gemsmith.model.projection import MediaProjection
from gemsmith.ops import buffers


class Hearing(nn.Module):
    """Sounds to soft tokens of the text decoder's width: a tower or none, and the projection."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.audio = audio = config.audio
        if isinstance(audio, UnifiedAudioConfig):
            width = audio.audio_embed_dim
        else:
            assert isinstance(audio, AudioConfig)
            self.audio_tower, width = AudioTower(audio), audio.output_proj_dims
        self.embed_audio = MediaProjection(width, config.text.hidden_size, audio.rms_norm_eps)

    def forward(self, sounds: Sequence[np.ndarray]) -> list[Tensor]:
        """Soft tokens [M, D] of each sound; those with a tower in one batch."""
        if isinstance(self.audio, UnifiedAudioConfig):
            frames = [torch.from_numpy(frames_of(samples, self.audio.audio_embed_dim)) for samples in sounds]
            return [self.embed_audio(each[None])[0] for each in frames]
        soft_BMD, valid_BM = self.audio_tower(*batch(sounds))
        return [rows[valid] for rows, valid in zip(self.embed_audio(soft_BMD), valid_BM, strict=True)]


def batch(sounds: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Log-mel frames [B, T, 128] and which are valid [B, T], shorter sounds filled up with frames that are not."""
    mels, masks = zip(*map(log_mel, sounds), strict=True)
    mel_BTF = pad_sequence([torch.from_numpy(mel) for mel in mels], batch_first=True)
    return mel_BTF, pad_sequence([torch.from_numpy(mask) for mask in masks], batch_first=True)


def our_hearing(folder: Path) -> Hearing:
    """Every tensor of the file that belongs to hearing, and no other."""
    checkpoint = open_checkpoint(folder)
    hearing = Hearing(checkpoint.config)
    state = {
        name.removeprefix("model."): buffers.from_buffer(view.buffer, view.dtype, view.shape)
        for name, view in checkpoint.items()
        if name.startswith(("model.audio_", "model.embed_audio."))
    }
    hearing.load_state_dict(state)
    return hearing.requires_grad_(False).eval()


@torch.inference_mode()
def heard_by_reference(model: Any, sounds: Sequence[np.ndarray]) -> list[Tensor]:
    """The same by `transformers`, with its own front end, all sounds in one batch."""
    from transformers import Gemma4AudioFeatureExtractor
    from transformers.models.gemma4_unified.feature_extraction_gemma4_unified import Gemma4UnifiedAudioFeatureExtractor

    unified = model.config.model_type == "gemma4_unified"
    front_end = Gemma4UnifiedAudioFeatureExtractor() if unified else Gemma4AudioFeatureExtractor()
    inputs = front_end(list(sounds), return_tensors="pt")
    out = model.model.get_audio_features(inputs["input_features"], inputs["input_features_mask"], return_dict=True)
    return [rows[valid] for rows, valid in zip(out.pooler_output, out.attention_mask, strict=True)]


@torch.no_grad()
def fill(tower: nn.Module, seed: int) -> None:
    """Random weights that all matter, and clips that about every tenth number passes."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in tower.state_dict().items():
        if name.endswith(("_min", "_max")):
            bound = float(torch.empty(1).uniform_(1.2, 2.0, generator=generator))
            tensor.fill_(-bound if name.endswith("_min") else bound)
        elif tensor.ndim > 1:
            tensor.normal_(0, tensor[0].numel() ** -0.5, generator=generator)
        else:
            tensor.normal_(1, 0.2, generator=generator)


def noises(*lengths: int, seed: int = 0) -> list[np.ndarray]:
    """Sounds of so many samples whose loudness and colour change, so that no two stretches are alike."""
    return [_noise(length, np.random.default_rng((seed, number))) for number, length in enumerate(lengths)]


def _noise(num_samples: int, random: np.random.Generator) -> np.ndarray:
    t = np.arange(num_samples) / 16_000
    loudness = 10 ** (-2 + 1.9 * np.sin(2 * np.pi * random.uniform(1, 5) * t))
    tones = sum(np.sin(2 * np.pi * random.uniform(100, 6000) * (t + t * t)) for _ in range(3))
    mixed = loudness * (tones + random.normal(size=num_samples))
    return mixed.clip(-1, 1).astype(np.float32)
