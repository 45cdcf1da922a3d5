"""Checkpoints in and out: files to lazy tensors under one table of names, and back.

    blocks.py       quantised blocks to floats
    tensor.py       one tensor: name, shape, dtype, bytes
    files.py        the small text files beside the weights
    header.py       the header of a safetensors file
    safetensors.py  one file, read and written
    shards.py       one file or several with an index
    names.py        every file's tensor names to the released ones
    head.py         a separate output head, compared with the embedding
    checkpoint.py   a folder, opened and checked against its config
    save.py         a folder, written in the released layout
    gguf/           one GGUF file, opened like a folder

Everything above `header.py` speaks of tensors by name only; nothing here executes anything from a file.
"""

from gemsmith.formats.checkpoint import Checkpoint, check_tensors, open_checkpoint
from gemsmith.formats.safetensors import TensorFile, write_tensors
from gemsmith.formats.save import save_checkpoint
from gemsmith.formats.tensor import TensorSource, TensorStream, TensorView

__all__ = [
    "Checkpoint",
    "TensorFile",
    "TensorSource",
    "TensorStream",
    "TensorView",
    "check_tensors",
    "open_checkpoint",
    "save_checkpoint",
    "write_tensors",
]
