"""The formats of packed matrices, as numbers: bits, groups, blocks, bytes.

A packed matrix stands in blocks of 32 rows by one group of columns, the blocks of a row block one after the other, so
that one thread reads one linear stream. Rows and columns are padded to whole blocks. `native/types.h` is the same in
C++; `layout.py` is the order inside a block.

    q8   u = q + 128, a byte     value = (u - 128) * scale    32 columns share a float16 scale
    q4   u = q + 8, a nibble     value = (u - 8) * scale      32 columns
    q2   u in 0..3, two bits     value = (2 u - 3) * scale    64 columns
    f32, f16, bf16               the number itself, columns not padded
    q8_planes                    q8's codes in two planes, for a head: see `planes.py`
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Format = Literal["f32", "f16", "bf16", "q8", "q4", "q2", "q8_planes"]

BLOCK_ROWS = 32


class Grid(NamedTuple):
    """Codes of so many bits, a scale for each group: value = (step * code - offset) * scale."""

    bits: int
    group: int
    step: int
    offset: int
    rest: int  # the code of a zero; q2 has none, there it is the smallest positive one, and padding is never read

    @property
    def code_bytes(self) -> int:
        """Bytes of the codes of one block."""
        return BLOCK_ROWS * self.group * self.bits // 8

    @property
    def block_bytes(self) -> int:
        """Bytes of one block: codes, and 32 float16 scales."""
        return self.code_bytes + 2 * BLOCK_ROWS


GRIDS: dict[str, Grid] = {
    "q8": Grid(bits=8, group=32, step=1, offset=128, rest=128),
    "q4": Grid(bits=4, group=32, step=1, offset=8, rest=8),
    "q2": Grid(bits=2, group=64, step=2, offset=3, rest=2),
}
ITEM_BYTES: dict[str, int] = {"f32": 4, "f16": 2, "bf16": 2}
FORMATS: tuple[Format, ...] = ("f32", "f16", "bf16", "q8", "q4", "q2")  # of any matrix
PLANES: Format = "q8_planes"  # of the head, besides
DIGITS_BYTES = BLOCK_ROWS * 8  # what `planes.py` knows of 32 rows


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def row_block_bytes(format: str, cols: int) -> int:
    """Bytes of 32 rows."""
    if format == PLANES:
        return row_block_bytes("q8", cols) + DIGITS_BYTES
    if format in GRIDS:
        grid = GRIDS[format]
        return grid.block_bytes * ceil_div(cols, grid.group)
    return BLOCK_ROWS * ITEM_BYTES[format] * cols


def packed_bytes(format: str, rows: int, cols: int) -> int:
    """Bytes of a packed matrix."""
    return ceil_div(rows, BLOCK_ROWS) * row_block_bytes(format, cols)
