"""GGUF files: llama.cpp's one-file checkpoints, opened like a folder of safetensors.

    types.py        type ids, what a block of each holds, and which of them are read here
    directory.py    the list of tensors: names, shapes, types, and where their bytes are
    names.py        llama.cpp's tensor names to the released ones
    metadata.py     keys, looked up with their types checked
    config.py       keys and shapes to a ModelConfig
    generation.py   stop ids and sampling values
    checkpoint.py   one file, opened and checked against its config

Tensors keep the file's own bytes; only `TensorView.numpy` turns blocks into floats. A GGUF of a text model has no
senses: those are in a second file (mmproj), which is not read yet.
"""

from gemsmith.formats.gguf.checkpoint import GgufCheckpoint, open_gguf

__all__ = ["GgufCheckpoint", "open_gguf"]
