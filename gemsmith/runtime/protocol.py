"""What every engine that executes a model offers: sequences as handles, ragged batches in, rows out.

One shape serves prefill, chunked prefill, decode, verification of drafts and continuous batching: a batch is a list of
runs, each a sequence with its next tokens and the rows wanted back. Nothing here computes.

    R wanted rows   V vocabulary   D hidden   M soft tokens
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gemsmith.media.prepared import Prepared


class Soft(Protocol):
    """Soft tokens of one picture, clip or sound, in the runtime's own memory."""

    def __len__(self) -> int:
        """How many rows there are."""
        ...

    def numpy(self) -> np.ndarray:
        """The rows, [M, D] float32: for measuring."""
        ...


@dataclass(frozen=True)
class Run:
    """The next tokens of one sequence, at least one, and which of them a result is wanted for: indices into `ids`,
    in any order.

    `soft` are the soft tokens (see `Runtime.encode`) of the media placeholders among `ids`, in order: together as many
    rows as there are placeholder ids.
    """

    sequence: int
    ids: Sequence[int]
    wanted: Sequence[int]
    soft: Sequence[Soft] = ()


class Rows(Protocol):
    """Results for the wanted rows of a step, in order; each is computed only when asked."""

    @property
    def token_ids(self) -> np.ndarray:
        """The likeliest token of each row, [R] int64."""
        ...

    @property
    def logits(self) -> np.ndarray:
        """Soft-capped logits, [R, V] float32."""
        ...

    @property
    def hidden(self) -> np.ndarray:
        """Hidden states after the final norm, [R, D] float32."""
        ...

    def likeliest(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k best ids [R, k], best first and of equals the lower, and their logits [R, k]: all of them NaN where any
        logit of the row is NaN or +inf (soft-capped ones are never -inf)."""
        ...

    def top(self, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same, and the log-sum-exp of each whole row [R], which is not finite where a logit is NaN or +inf; the
        logits are then as they come."""
        ...


class Runtime(Protocol):
    """An engine with a model's weights in it."""

    @property
    def name(self) -> str: ...

    @property
    def weight_bytes(self) -> Mapping[str, int]:
        """Bytes that the engine reads of each of the text decoder's weights, by its name in the checkpoint."""
        ...

    def new(self) -> int:
        """An empty sequence."""
        ...

    def fork(self, sequence: int) -> int:
        """An independent sequence with the same tokens behind it."""
        ...

    def length(self, sequence: int) -> int:
        """Tokens the sequence holds."""
        ...

    def trim(self, sequence: int, length: int) -> None:
        """Forget all but the first `length` tokens; ValueError where a sliding window has moved past them."""
        ...

    def free(self, sequence: int) -> None:
        """Give the sequence's memory back."""
        ...

    def encode(self, media: Prepared) -> Soft:
        """The soft tokens of one prepared picture, clip (frame after frame) or sound."""
        ...

    def step(self, batch: Sequence[Run]) -> Rows:
        """Append each run's tokens to its sequence and return the wanted rows, run after run."""
        ...
