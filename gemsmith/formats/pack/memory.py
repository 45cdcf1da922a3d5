"""A pack without a file, for a small model: packed when it is loaded."""

from __future__ import annotations

import numpy as np

from gemsmith.formats.pack.content import content
from gemsmith.formats.pack.head import PAGE
from gemsmith.formats.pack.open import Pack, PackedView
from gemsmith.formats.pack.plan import PackedTensor, all_packed_tensors
from gemsmith.formats.pack.policy import tensor_formats
from gemsmith.formats.pack.source import PackSource


def pack_in_memory(source: PackSource, policy: str) -> Pack:
    """The same tensors that `write_pack` writes, on pages of memory; ModelFileError as there."""
    tensors = all_packed_tensors(source.config)
    dtypes = {part: source[part].dtype for tensor in tensors for part in tensor.parts}
    formats = tensor_formats(source.config, policy, dtypes)
    views = {tensor.name: _view(tensor, formats[tensor.name], source) for tensor in tensors}
    return Pack(
        path=None,
        config=source.config,
        generation_config=source.generation_config,
        tokenizer_path=source.tokenizer_path,
        chat_template=source.chat_template,
        policy=policy,
        tensors=views,
    )


def _view(tensor: PackedTensor, format: str, source: PackSource) -> PackedView:
    buffer, at = _pages(tensor.nbytes(format)), 0
    for piece, _ in content(tensor, format, source):
        buffer[at : at + piece.nbytes] = piece
        at += piece.nbytes
    assert at == buffer.nbytes, (tensor, format, at)
    buffer.flags.writeable = False
    sizes = (tensor.rows, tensor.cols, tensor.count)
    return PackedView(tensor.name, format, tensor.arrangement, *sizes, tensor.shape, buffer.data, 0, None)


def _pages(nbytes: int) -> np.ndarray:
    """So many bytes that begin on a page."""
    room = np.empty(nbytes + PAGE, np.uint8)
    start = -room.ctypes.data % PAGE
    return room[start : start + nbytes]
