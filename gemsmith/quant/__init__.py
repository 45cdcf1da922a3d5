"""Smaller weights: codes, scales, and the bytes that kernels read.

    family.py   the formats as numbers
    choose.py   values to codes and scales
    layout.py   codes and scales to packed bytes, and back
    planes.py   a head in two planes, of which drawing a token reads one
    packing.py  a float matrix to packed bytes, and back
    rows.py     tables that are read by the row
    q6_k.py     GGUF's six bits, which a table may be stored in
    relay.py    GGUF's blocks laid out anew
    floats.py   float types, and what is no number
    twin.py     the native twin of packing

Written in numpy, and so the definition: kernels are tested against `unpack`, and the native twin against `pack`.
"""

from gemsmith.quant.choose import quantise
from gemsmith.quant.family import BLOCK_ROWS, FORMATS, GRIDS, PLANES, Format, packed_bytes, row_block_bytes
from gemsmith.quant.layout import Codes, lay_out, take_apart
from gemsmith.quant.packing import pack, unpack
from gemsmith.quant.planes import digits, join, lower_plane, planes_of, split, upper_bytes, upper_plane
from gemsmith.quant.relay import relay, relay_q4_0, relay_q8_0
from gemsmith.quant.rows import ROW_FORMATS, RowFormat, pack_rows, row_bytes, unpack_rows

__all__ = [
    "BLOCK_ROWS",
    "FORMATS",
    "GRIDS",
    "PLANES",
    "ROW_FORMATS",
    "Codes",
    "Format",
    "RowFormat",
    "digits",
    "join",
    "lay_out",
    "lower_plane",
    "pack",
    "pack_rows",
    "packed_bytes",
    "planes_of",
    "quantise",
    "relay",
    "relay_q4_0",
    "relay_q8_0",
    "row_block_bytes",
    "row_bytes",
    "split",
    "take_apart",
    "unpack",
    "unpack_rows",
    "upper_bytes",
    "upper_plane",
]
