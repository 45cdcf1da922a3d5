"""Sight of a tiny model, twice: as `transformers` computes it and as we do, from one file in the released format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gemsmith.config import ModelConfig, UnifiedVisionConfig, preset
from gemsmith.formats import open_checkpoint
from gemsmith.model.projection import MediaProjection
from gemsmith.model.vision import VisionEmbedder, VisionTower
from gemsmith.ops import buffers

SIZES = ("e2b", "e4b", "12b", "26b-a4b", "31b")
CELL = 48  # pixels along a soft token's square, of every size


def tiny(size: str) -> ModelConfig:
    """The size's stand-in, with positions for the longest picture that the largest budget allows."""
    config = preset(f"tiny-random-{size}")
    if isinstance(config.vision, UnifiedVisionConfig):
        return replace(config, vision=replace(config.vision, mm_posemb_size=1120))
    assert config.vision is not None
    return replace(config, vision=replace(config.vision, position_embedding_size=3 * 1120))


class Sight(nn.Module):
    """Pixels to soft tokens of the text decoder's width: a tower or an embedder, and the projection."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        vision = config.vision
        assert vision is not None
        if isinstance(vision, UnifiedVisionConfig):
            self.vision_embedder, width = VisionEmbedder(vision), vision.output_proj_dims
        else:
            self.vision_tower, width = VisionTower(vision), vision.hidden_size
        self.embed_vision = MediaProjection(width, config.text.hidden_size, vision.rms_norm_eps)

    def forward(self, rgb_BHWC: Tensor) -> Tensor:
        tower = self.vision_embedder if hasattr(self, "vision_embedder") else self.vision_tower
        return self.embed_vision(tower(rgb_BHWC))


def our_sight(folder: Path) -> Sight:
    """Every tensor of the file that belongs to sight, and no other."""
    checkpoint = open_checkpoint(folder)
    sight = Sight(checkpoint.config)
    state = {
        name.removeprefix("model."): buffers.from_buffer(view.buffer, view.dtype, view.shape)
        for name, view in checkpoint.items()
        if name.startswith(("model.vision_", "model.embed_vision."))
    }
    sight.load_state_dict(state)
    return sight.requires_grad_(False).eval()


def pictures(*grids: tuple[int, int], seed: int = 0) -> list[Tensor]:
    """Random pictures [H, W, 3] in 0..255 of so many (columns, rows) of soft tokens."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randint(0, 256, (rows * CELL, columns * CELL, 3), generator=generator, dtype=torch.uint8)
        for columns, rows in grids
    ]


def seen_by_us(sight: Sight, images: Sequence[Tensor]) -> list[Tensor]:
    """Soft tokens [M, D] of each picture: in one call where all have one size, one by one where not."""
    with torch.inference_mode():
        if len({image.shape for image in images}) == 1:
            return list(sight(torch.stack(list(images)).float() / 255))
        return [sight(image[None].float() / 255)[0] for image in images]


@torch.inference_mode()
def seen_by_reference(model: Any, images: Sequence[Tensor], budget: int, attention: str = "sdpa") -> list[Tensor]:
    """The same by `transformers`: its patches, all pictures in one batch, padded to a square more than the longest."""
    from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

    patch, pool = 16, 3
    if model.config.model_type == "gemma4_unified":  # its own processor merges the patches to the same squares
        patch, pool = CELL, 1
    else:
        model.model.vision_tower.set_attn_implementation(attention)
    inputs = Gemma4ImageProcessorPil()(
        images=[image.permute(2, 0, 1).numpy() for image in images],
        do_resize=False,
        input_data_format="channels_first",
        patch_size=patch,
        pooling_kernel_size=pool,
        max_soft_tokens=budget,
        return_tensors="pt",
    )
    kept = (int(inputs["num_soft_tokens_per_image"].max()) + 1) * pool**2  # all of the padding would be slow
    pixels, places = inputs["pixel_values"][:, :kept], inputs["image_position_ids"][:, :kept]
    out = model.model.get_image_features(pixels, places, return_dict=True)
    return list(out.pooler_output)
