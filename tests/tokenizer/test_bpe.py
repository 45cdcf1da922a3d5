"""Byte-pair encoding against its definition: the heap against a plain loop, cut text against whole text."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.errors import TokenizerError
from gemsmith.tokenizer.bpe import MAX_CROSSINGS, BytePairEncoder, merge, word_pattern

ALPHABET = "ab>▁\n/"


def merge_plainly(symbols: list[str], ranks: dict[str, int]) -> list[str]:
    """The definition: find the pair of lowest rank, leftmost among equals; merge it; begin again."""
    while True:
        pairs = [(ranks[f"{a} {b}"], at) for at, (a, b) in enumerate(pairwise(symbols)) if f"{a} {b}" in ranks]
        if not pairs:
            return symbols
        at = min(pairs)[1]
        symbols = [*symbols[:at], symbols[at] + symbols[at + 1], *symbols[at + 2 :]]


@st.composite
def vocabularies(draw: st.DrawFn, alphabet: str = ALPHABET) -> tuple[dict[str, int], dict[str, int]]:
    """Random merges, each of two tokens that exist by then: ids and ranks."""
    tokens, merges = list(alphabet), []
    for _ in range(draw(st.integers(0, 14))):
        left, right = draw(st.sampled_from(tokens)), draw(st.sampled_from(tokens))
        merges.append(f"{left} {right}")
        tokens.append(left + right)
    merges = draw(st.permutations(list(dict.fromkeys(merges))))
    return {token: id for id, token in enumerate(dict.fromkeys(tokens))}, {m: rank for rank, m in enumerate(merges)}


@given(vocabulary=vocabularies(), text=st.text(ALPHABET, max_size=40))
def test_heap_equals_the_plain_loop(vocabulary: tuple[dict[str, int], dict[str, int]], text: str) -> None:
    _, ranks = vocabulary
    assert merge(list(text), ranks) == merge_plainly(list(text), ranks)


@given(vocabulary=vocabularies(), text=st.text(ALPHABET, max_size=40))
def test_cutting_into_words_changes_no_id(vocabulary: tuple[dict[str, int], dict[str, int]], text: str) -> None:
    ids, ranks = vocabulary
    whole = [ids[symbol] for symbol in merge(list(text), ranks)]
    assert BytePairEncoder(ids, ranks, byte_fallback=True).encode(text) == whole


def test_words_are_cut_at_spaces_and_newlines() -> None:
    pattern = word_pattern(["a", "▁a", ">▁</"])
    assert pattern is not None
    assert pattern.findall("a▁a▁▁b\n\n▁c▁\n>▁</a▁>▁<") == [
        "a",
        "▁a",
        "▁▁b",
        "\n\n",
        "▁c",
        "▁",
        "\n",
        ">▁</a",
        "▁>",
        "▁<",
    ]


def test_text_is_not_cut_where_tokens_reach_across() -> None:
    assert word_pattern(["a\nb"]) is None
    assert word_pattern([f"{chr(0x4E00 + n)}▁x" for n in range(MAX_CROSSINGS + 1)]) is None


@pytest.mark.parametrize("unit", ["a", "ab", "▁", "😀", "base64"])
def test_work_grows_with_length(unit: str) -> None:
    class Counted(dict[str, int]):
        lookups = 0

        def get(self, *key: object) -> object:  # type: ignore[override]
            self.lookups += 1
            return super().get(*key)  # type: ignore[call-overload]

    runs = ["a", "aa", "aaaa", "▁", "▁▁", "ab"]
    ranks = Counted({f"{run} {other}": rank for rank, (run, other) in enumerate((a, b) for a in runs for b in runs)})
    length = 20_000
    text = "".join(random.Random(0).choices("abAB+/9", k=length)) if unit == "base64" else unit * length
    merge(list(text), ranks)
    assert ranks.lookups <= 3 * len(text)  # once a pair, and twice a merge


def test_a_character_without_token_or_bytes_is_an_error() -> None:
    with pytest.raises(TokenizerError, match=r"'é' \(U\+00E9\).*byte fallback"):
        BytePairEncoder({"a": 0, "<0xC3>": 1}, {}, byte_fallback=True).encode("aé")
    with pytest.raises(TokenizerError, match="neither a token nor byte tokens"):
        BytePairEncoder({"a": 0, "<0x62>": 1}, {}, byte_fallback=False).encode("ab")
