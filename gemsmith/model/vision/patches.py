"""From pixels to vectors: a picture cut into squares, and where each square stands.

Does not resize: sides come as multiples of a soft token's square (see `gemsmith.media.resize`). All pictures of one
call have one size, so nothing here is padded.

    B batch   T patches   D hidden
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gemsmith.config import VisionConfig
from gemsmith.errors import MediaError


def cut(rgb_BHWC: Tensor, side: int) -> Tensor:
    """Squares of side x side pixels, row after row: [B, T, side · side · 3], each pixel's three colours together."""
    squares = rgb_BHWC.unflatten(2, (-1, side)).unflatten(1, (-1, side))
    return squares.transpose(2, 3).flatten(3).flatten(1, 2)


def places(num_rows: int, num_columns: int, device: torch.device) -> Tensor:
    """(column, row) of every square, in the order of `cut`: [T, 2]."""
    rows, columns = torch.arange(num_rows, device=device), torch.arange(num_columns, device=device)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y], dim=-1).flatten(0, 1)


def grid(rgb_BHWC: Tensor, side: int, most: int) -> tuple[int, int]:
    """Rows and columns of squares; raises MediaError where a side has more than the `most` that positions are for."""
    height, width, channels = rgb_BHWC.shape[1:]
    assert channels == 3 and height % side == width % side == 0, (tuple(rgb_BHWC.shape), side)
    rows, columns = height // side, width // side
    if max(rows, columns) > most:
        raise MediaError(
            "media_too_large",
            f"a picture of {width}x{height} pixels is {max(rows, columns)} squares long where this model knows"
            f" positions for {most}; give it fewer tokens, or cut it into pieces that are less long",
        )
    return rows, columns


class PatchEmbedder(nn.Module):
    """One matrix for the pixels of a patch, and two learned vectors for its column and its row."""

    def __init__(self, vision: VisionConfig):
        super().__init__()
        self.input_proj = nn.Linear(3 * vision.patch_size**2, vision.hidden_size, bias=False)
        # Drawn by `init`: a draw on the `meta` device would import torch's compiler, which takes seconds.
        table = torch.zeros(2, vision.position_embedding_size, vision.hidden_size)  # columns, then rows
        self.position_embedding_table = nn.Parameter(table)

    def forward(self, patches_BTC: Tensor, places_T2: Tensor) -> Tensor:
        x, y = places_T2.unbind(-1)
        columns, rows = self.position_embedding_table
        signed = 2 * (patches_BTC - 0.5)  # the tower was trained on [-1, 1], and its pictures come in [0, 1]
        return self.input_proj(signed.to(self.input_proj.weight.dtype)) + (columns[x] + rows[y])
