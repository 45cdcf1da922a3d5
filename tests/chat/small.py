"""A byte-level tokenizer with all of Gemma's control tokens: small, exact, and there on every machine."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from gemsmith.tokenizer import Tokenizer
from gemsmith.tokenizer.control import CONTROL_TEXTS
from gemsmith.tokenizer.vocabulary import Vocabulary

CONTROLS = sorted(CONTROL_TEXTS)
SPELLED = re.compile("(" + "|".join(re.escape(name) for name in sorted(CONTROLS, key=len, reverse=True)) + ")")


@functools.cache
def small_tokenizer() -> Tokenizer:
    tokens = [*CONTROLS, *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    special = frozenset(range(len(CONTROLS)))
    return Tokenizer(Vocabulary("a test's vocabulary", tokens, (), special, whole={}, whole_normalized={}))


def spelled_ids(text: str, tokenizer: Tokenizer) -> list[int]:
    """A text with control tokens spelled out to ids: each stretch between them is encoded as one."""
    ids: list[int] = []
    for piece in SPELLED.split(text):
        ids += [tokenizer.control[piece]] if piece in tokenizer.control else tokenizer.encode(piece)
    return ids


def controls_in(ids: Sequence[int], tokenizer: Tokenizer) -> list[str]:
    """The control tokens among some ids, in order."""
    return [tokenizer.token(id) for id in ids if id in tokenizer.control_ids]
