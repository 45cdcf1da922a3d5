"""Byte-pair encoding: text to tokens by applying a list of merges, the earliest in the list first.

A text begins as its characters (or their bytes, for those the vocabulary lacks); then, of all neighbours that the
list names, those named earliest merge, leftmost first, until none are left. Sennrich et al. 2016, arXiv 1508.07909;
the order of merges and the fallback to bytes are those of the `tokenizers` library, models/bpe, the tests' oracle.

Two things make this fast in Python without changing a single id:
- A heap of possible merges makes a word of n characters cost n log n, never n².
- The text is cut into words where no token of the vocabulary reaches across, and ids of short words are remembered.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Mapping
from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import pairwise

from gemsmith.errors import TokenizerError

SPACE = "▁"  # U+2581 stands for a space inside the vocabulary, as in SentencePiece
NEVER = -1  # the rank of neighbours that do not merge
CACHED_WORDS, CACHED_LENGTH = 1 << 16, 32  # at most 65,536 words of at most 32 characters: some 20 MB
MAX_CROSSINGS = 64  # more tokens than this across spaces, and the text is not cut at spaces at all


class BytePairEncoder:
    """Text in which spaces are already `▁`, to ids."""

    def __init__(self, ids: Mapping[str, int], ranks: Mapping[str, int], byte_fallback: bool):
        """`ids` of the tokens that text may become; `ranks` of merges spelled "left right"; bytes for the rest."""
        self._ids, self._ranks, self._byte_fallback = ids, ranks, byte_fallback
        self._words = word_pattern(ids)
        self._cached_ids = lru_cache(maxsize=CACHED_WORDS)(self._word_ids)

    def encode(self, text: str) -> list[int]:
        words = self._words.findall(text) if self._words else [text]
        ids: list[int] = []
        for word in words:
            ids += self._cached_ids(word) if len(word) <= CACHED_LENGTH else self._word_ids(word)
        return ids

    def _word_ids(self, word: str) -> tuple[int, ...]:
        ids = self._ids
        return tuple([ids[symbol] for symbol in merge(self._symbols(word), self._ranks)])

    def _symbols(self, word: str) -> list[str]:
        """The characters of `word`; one that is no token becomes the tokens of its bytes."""
        symbols: list[str] = []
        for character in word:
            if character in self._ids:
                symbols.append(character)
            else:
                symbols += self._byte_symbols(character)
        return symbols

    def _byte_symbols(self, character: str) -> list[str]:
        symbols = [f"<0x{byte:02X}>" for byte in character.encode()]
        if not self._byte_fallback or not all(symbol in self._ids for symbol in symbols):
            raise no_symbol(character)
        return symbols


def no_symbol(character: str) -> TokenizerError:
    return TokenizerError(
        f"text holds {character!r} (U+{ord(character):04X}), for which this vocabulary has neither a token nor"
        " byte tokens; use a tokenizer with byte fallback, as Gemma's has"
    )


def merge(symbols: list[str], ranks: Mapping[str, int]) -> list[str]:
    """`symbols` after all merges, changed in place: the lowest rank goes first, and of equals the leftmost."""
    size = len(symbols)
    before, after = array("q", range(-1, size - 1)), array("q", range(1, size + 1))
    rank_at = array("q", [ranks.get(f"{left} {right}", NEVER) for left, right in pairwise(symbols)])
    rank_at.append(NEVER)
    heap = [rank * size + at for at, rank in enumerate(rank_at) if rank != NEVER]  # orders by rank, then place
    heapify(heap)

    def update(left: int) -> None:
        """Look up anew the pair that begins at `left`, one half of which has just grown."""
        right = after[left]
        rank = ranks.get(f"{symbols[left]} {symbols[right]}", NEVER) if right < size else NEVER
        rank_at[left] = rank
        if rank != NEVER:
            heappush(heap, rank * size + left)

    while heap:
        rank, left = divmod(heappop(heap), size)
        if rank_at[left] != rank:  # one half has merged with another neighbour meanwhile
            continue
        right = after[left]
        symbols[left] += symbols[right]
        symbols[right], rank_at[right] = "", NEVER
        after[left] = after[right]
        if after[left] < size:
            before[after[left]] = left
        update(left)
        if left > 0:
            update(before[left])
    return [symbol for symbol in symbols if symbol]


def word_pattern(tokens: Iterable[str]) -> re.Pattern[str] | None:
    """What to cut text into so that encoding the pieces is encoding the whole; None where it cannot be cut.

    Cutting between two characters is exact when no token has both, side by side: no merge can then join them. Runs of
    newlines stand alone, and a word is a run of `▁` with what follows it, up to the next `▁`. The real vocabulary has
    one token across that seam, `>▁</`; where such a token's text occurs, its `▁` is taken for a letter of the word.
    """
    tokens = list(tokens)
    if any("\n" in token and token.strip("\n") for token in tokens):
        return None
    crossings: set[str] = set()
    for token in (token for token in tokens if SPACE in token[1:]):
        crossings |= {
            f"(?<={re.escape(token[: at + 1])})(?={re.escape(token[at + 1 :])}){SPACE}+"
            for at in range(len(token) - 1)
            if token[at] != SPACE and token[at + 1] == SPACE
        }
        if len(crossings) > MAX_CROSSINGS:
            return None
    letters = "|".join([rf"[^{SPACE}\n]++", *sorted(crossings)])
    return re.compile(rf"\n+|{SPACE}*+(?:{letters})++|{SPACE}+")
