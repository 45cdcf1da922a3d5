"""What a model sees and hears with: prepared pictures and sounds in, soft tokens as wide as the text decoder out.

Attributes are named as the checkpoint's tensors, so `state_dict()` is the file without its prefix `model.`; a sense
that the config lacks is absent. Where soft tokens go among text is `soft.py`'s to say. Nothing here decodes or resizes.

    B batch   T frames   M soft tokens   D hidden
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from gemsmith.config import AudioConfig, ModelConfig, UnifiedAudioConfig, UnifiedVisionConfig, VisionConfig
from gemsmith.media.framing import frames_of
from gemsmith.media.mel import log_mel
from gemsmith.model.audio.tower import AudioTower
from gemsmith.model.projection import MediaProjection
from gemsmith.model.vision import VisionEmbedder, VisionTower


class Senses(nn.Module):
    """The towers of E2B to 31B, or 12B's embedders, each with its projection into the text decoder's width."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        vision, audio, D = config.vision, config.audio, config.text.hidden_size
        if isinstance(vision, VisionConfig):
            self.vision_tower = VisionTower(vision)
            self.embed_vision = MediaProjection(vision.hidden_size, D, vision.rms_norm_eps)
        elif isinstance(vision, UnifiedVisionConfig):
            self.vision_embedder = VisionEmbedder(vision)
            self.embed_vision = MediaProjection(vision.output_proj_dims, D, vision.rms_norm_eps)
        if isinstance(audio, AudioConfig):
            self.audio_tower = AudioTower(audio)
            self.embed_audio = MediaProjection(audio.output_proj_dims, D, audio.rms_norm_eps)
        elif isinstance(audio, UnifiedAudioConfig):
            self.embed_audio = MediaProjection(audio.audio_embed_dim, D, audio.rms_norm_eps)

    def see(self, rgb_BHWC: Tensor) -> Tensor:
        """Soft tokens [B, M, D] of pictures of one size, uint8, resized to their budget."""
        device = self.embed_vision.embedding_projection.weight.device
        rgb_BHWC = rgb_BHWC.to(device).float() / 255
        tower = self.vision_embedder if self.config.is_unified else self.vision_tower
        return self.embed_vision(tower(rgb_BHWC))

    def hear(self, samples: np.ndarray) -> Tensor:
        """Soft tokens [M, D] of one sound: float32 samples, 16,000 a second."""
        device = self.embed_audio.embedding_projection.weight.device
        if isinstance(self.config.audio, UnifiedAudioConfig):
            frames_TS = torch.from_numpy(frames_of(samples, self.config.audio.audio_embed_dim))
            return self.embed_audio(frames_TS.to(device))
        mel_TF, valid_T = (torch.from_numpy(x).to(device) for x in log_mel(samples))
        soft_BMP, valid_BM = self.audio_tower(mel_TF[None], valid_T[None])
        return self.embed_audio(soft_BMP[valid_BM])
