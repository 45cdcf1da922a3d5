"""What a pack holds, from the config alone: which tensors, made of which released ones, arranged how.

    rows          the matrix itself
    interleaved   gate and up as one matrix, in alternating blocks of 32 rows, each padded to whole blocks: what a
                  kernel multiplies, and the product it makes of the two, then stand side by side
    stacked       one such matrix for each expert, one after the other (gate and up interleaved)
    table         row-major, a row in GGUF's row format: read by the row
    vector        float32
    plain         a sense's tensor, as it came, in its own float type

Keys and values that a layer never uses are not in the plan. Letters as in `config/tensors.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gemsmith.config.model import ModelConfig
from gemsmith.config.tensors import EMBEDDING, TEXT_PREFIX, Shape, media_tensors, text_tensors
from gemsmith.config.text import TextConfig
from gemsmith.quant import BLOCK_ROWS, packed_bytes, row_bytes

Arrangement = Literal["rows", "interleaved", "stacked", "table", "vector", "plain"]

TABLE = f"{TEXT_PREFIX}embed_tokens_per_layer.weight"
GATE, UP, GATE_UP = "mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.gate_up_proj.weight"
EXPERT_GATE_UP = "experts.gate_up_proj"


@dataclass(frozen=True)
class PackedTensor:
    """One tensor of a pack: `count` matrices of `rows` by `cols`, made of the released tensors `parts`.

    An interleaved matrix has the rows it stands in, padding included; a vector is one row.
    """

    name: str
    arrangement: Arrangement
    rows: int
    cols: int
    count: int
    parts: tuple[str, ...]
    shape: Shape  # of a part

    def nbytes(self, format: str) -> int:
        """Bytes in this format, alignment not counted."""
        if self.arrangement == "table":
            return self.rows * row_bytes(format, self.cols)
        if self.arrangement in ("vector", "plain"):
            return self.cols * (4 if format == "f32" else 2)
        return self.count * packed_bytes(format, self.rows, self.cols)


def packed_tensors(text: TextConfig) -> tuple[PackedTensor, ...]:
    """The text decoder's, in the order of the forward pass."""
    return tuple(_packed(text_tensors(text)))


def sense_tensors(config: ModelConfig) -> tuple[PackedTensor, ...]:
    """The senses', as they are released."""
    return tuple(
        PackedTensor(name, "plain", 1, math.prod(shape), 1, (name,), shape)
        for name, shape in media_tensors(config).items()
    )


def all_packed_tensors(config: ModelConfig) -> tuple[PackedTensor, ...]:
    """Everything in a pack of this config."""
    return (*packed_tensors(config.text), *sense_tensors(config))


def _packed(tensors: dict[str, Shape]) -> Iterator[PackedTensor]:
    for name, shape in tensors.items():
        if name == TABLE:
            yield PackedTensor(name, "table", shape[0], shape[1], 1, (name,), shape)
        elif name.endswith(GATE):
            up, both = name.replace(GATE, UP), name.replace(GATE, GATE_UP)
            yield PackedTensor(both, "interleaved", interleaved_rows(shape[0]), shape[1], 1, (name, up), shape)
        elif name.endswith(UP):
            continue
        elif len(shape) == 3:
            count, rows, cols = shape
            rows = interleaved_rows(rows // 2) if name.endswith(EXPERT_GATE_UP) else rows
            yield PackedTensor(name, "stacked", rows, cols, count, (name,), shape)
        elif len(shape) == 2:
            yield PackedTensor(name, "rows", shape[0], shape[1], 1, (name,), shape)
        else:
            yield PackedTensor(name, "vector", 1, shape[0], 1, (name,), shape)


def interleaved_rows(rows: int) -> int:
    """Rows that a gate and an up projection of `rows` each take together."""
    return 2 * BLOCK_ROWS * -(-rows // BLOCK_ROWS)


def is_head(name: str) -> bool:
    """Whether this matrix serves as token embedding and head."""
    return name == EMBEDDING
