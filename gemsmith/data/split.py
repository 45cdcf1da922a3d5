"""Which content is held out: a stable hash of the content decides, so no seed can carry it into training.

Python's own `hash` changes between processes; this one never changes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from hashlib import blake2b
from typing import Literal, TypeVar

Split = Literal["train", "heldout"]
Content = TypeVar("Content")


def is_heldout(key: str, share: float = 0.1) -> bool:
    """Whether the content named by `key` is kept for scoring; true for `share` of all keys."""
    digest = blake2b(key.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") < share * 2**32


def draw(
    make: Callable[[random.Random], Content], key: Callable[[Content], str], rng: random.Random, split: Split
) -> Content:
    """Content from `make`, drawn again until it belongs to `split`."""
    wanted = split == "heldout"
    while True:
        content = make(rng)
        if is_heldout(key(content)) is wanted:
            return content
