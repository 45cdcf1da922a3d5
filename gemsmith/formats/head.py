"""A separate `lm_head.weight`: the embedding once more, or a head that gemsmith does not have.

Every Gemma 4 reads its embedding table the other way round for its logits; some files carry a copy of it as the head.
`transformers` goes by `tie_word_embeddings`: true, and the copy is not read; false, and the head is the file's own.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gemsmith.config.model import ModelConfig
from gemsmith.errors import ModelFileError
from gemsmith.formats.blocks import BLOCK_BYTES
from gemsmith.formats.names import released_name
from gemsmith.formats.tensor import FLOAT_DTYPES, TensorView

if TYPE_CHECKING:
    import numpy as np

NUM_SAMPLES = 256  # rows compared: a head with a training of its own differs in all, and 31B's whole copy is 2.8 GB


def check_head(tensors: Mapping[str, TensorView], embedding: TensorView, config: ModelConfig, source: str) -> None:
    """Warn of a head that differs from the embedding and is left out; ModelFileError if the config wants it used."""
    head = next((tensors[name] for name in tensors if released_name(name) is None), None)
    if head is None or is_copy(head, embedding):
        return
    if not (config.tie_word_embeddings and config.text.tie_word_embeddings):
        raise ModelFileError(
            f"{source} has a {head.name} that is not its embedding, and tie_word_embeddings is false; gemsmith runs"
            " models whose head is their embedding, as every Gemma 4's is"
        )
    warnings.warn(
        f"{source} has a {head.name} that is not its embedding; it is left out, for tie_word_embeddings is true",
        stacklevel=3,
    )


def is_copy(head: TensorView, embedding: TensorView) -> bool:
    """Whether both hold the same numbers, as far as a sample of their rows tells."""
    if head.shape != embedding.shape or head.dtype not in (*FLOAT_DTYPES, *BLOCK_BYTES):
        return False
    return bool((_sample(head) == _sample(embedding)).all())


def _sample(table: TensorView) -> np.ndarray:
    """Rows spread evenly over the table, as float32."""
    size, width = table.shape
    rows = range(0, size, max(1, size // NUM_SAMPLES))
    row_bytes = table.nbytes // size
    data = b"".join(table.buffer[row * row_bytes : (row + 1) * row_bytes] for row in rows)
    return TensorView(table.name, (len(rows), width), table.dtype, memoryview(data)).numpy()
