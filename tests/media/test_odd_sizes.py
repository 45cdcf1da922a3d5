"""Pictures of every odd size at every budget are cut into the patches that `transformers`' Pillow processor makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from gemsmith.media.picture import picture
from gemsmith.media.resize import BUDGETS

pytestmark = pytest.mark.long  # a minute of large pictures

SIZES = ((1, 1), (4000, 1), (1, 4000), (47, 49), (49, 47), (1920, 1080), (8000, 6000))  # width, height
PATCH = 16


def noise(width: int, height: int) -> np.ndarray:
    """uint8 [H, W, 3]; of large pictures, squares of noise, which are quicker made."""
    coarse = 100 if width * height > 10_000_000 else 1
    small = np.random.default_rng(0).integers(0, 256, (height // coarse, width // coarse, 3), dtype=np.uint8)
    return np.kron(small, np.ones((coarse, coarse, 1), np.uint8))


def theirs(rgb: np.ndarray, tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """Patches [P, 768] and positions [P, 2] without the padding."""
    from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

    processor: Any = Gemma4ImageProcessorPil(max_soft_tokens=tokens)
    # told, since a picture one pixel high has three candidates for the axis of its channels
    made = processor(images=[Image.fromarray(rgb)], return_tensors="np", input_data_format="channels_first")
    patches, places = np.asarray(made["pixel_values"])[0], np.asarray(made["image_position_ids"])[0]
    real = (places >= 0).all(-1)
    return patches[real], places[real]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_patches_are_those_of_transformers(size: tuple[int, int]) -> None:
    rgb = noise(*size)
    for tokens in BUDGETS:
        ours = picture(rgb, tokens=tokens).rgb
        rows, columns = ours.shape[0] // PATCH, ours.shape[1] // PATCH
        cut = ours.reshape(rows, PATCH, columns, PATCH, 3).swapaxes(1, 2).reshape(rows * columns, -1)
        patches, places = theirs(rgb, tokens)
        np.testing.assert_array_equal(places, [(x, y) for y in range(rows) for x in range(columns)])
        np.testing.assert_allclose(cut / 255, patches, atol=1e-6)
