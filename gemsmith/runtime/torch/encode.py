"""Prepared media to soft tokens with a model's senses: which sense each kind needs, and how much is taken at once.

F frames   H height   W width   M soft tokens   D hidden
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gemsmith.errors import UnsupportedMediaError
from gemsmith.media.prepared import Frames, Pixels, Prepared, Waveform
from gemsmith.model.senses import Senses

MOST_PIXELS = 1120 * 48 * 48  # seen in one pass: the largest picture, or as many frames as that has pixels


class TorchSoft:
    """Soft tokens [M, D] of one picture, clip or sound, on the runtime's device."""

    def __init__(self, rows_MD: Tensor):
        self.rows_MD = rows_MD

    def __len__(self) -> int:
        return len(self.rows_MD)

    def numpy(self) -> np.ndarray:
        rows: np.ndarray = self.rows_MD.float().cpu().numpy()
        return rows


def soft_tokens(senses: Senses | None, media: Prepared) -> TorchSoft:
    """Soft tokens for whoever executes the text model. UnsupportedMediaError where the sense is absent."""
    with torch.inference_mode():
        return TorchSoft(encoded(senses, media))


def encoded(senses: Senses | None, media: Prepared) -> Tensor:
    """Soft tokens [M, D]; of a clip, frame after frame. UnsupportedMediaError where the sense is absent."""
    if isinstance(media, Waveform):
        if senses is None or senses.config.audio is None:
            raise UnsupportedMediaError("this model cannot hear: its config.json has no audio_config")
        return senses.hear(media.samples)
    if senses is None or senses.config.vision is None:
        what = "pictures" if isinstance(media, Pixels) else "clips"
        raise UnsupportedMediaError(f"this model cannot see {what}: its config.json has no vision_config")
    return _seen(senses, media.rgb if isinstance(media, Frames) else media.rgb[None])


def _seen(senses: Senses, rgb_FHWC: np.ndarray) -> Tensor:
    at_once = max(1, MOST_PIXELS // (rgb_FHWC.shape[1] * rgb_FHWC.shape[2]))
    parts = [rgb_FHWC[start : start + at_once] for start in range(0, len(rgb_FHWC), at_once)]
    return torch.cat([senses.see(torch.tensor(part)).flatten(0, 1) for part in parts])
