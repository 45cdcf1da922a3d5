"""What a tokenizer file says, whichever its format; `Tokenizer` makes it work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from reprlib import repr as shown  # short, however long a hostile text is

from gemsmith.errors import TokenizerError

MAX_TOKENS = 1 << 19  # Gemma's vocabulary has 262,144
MAX_TOKEN_CHARS = 512  # its longest token has 31 characters
MAX_WHOLE = 2048  # tokens found whole in a text, which Gemma has seven of: each slows the reading of every text
MAX_WHOLE_CHARS = 1 << 15


@dataclass(frozen=True)
class Vocabulary:
    """A list of tokens and the merges that lead to them, as read and not yet checked."""

    source: str  # for messages
    tokens: Sequence[str]  # by id
    merges: Sequence[str]  # "left right", by rank
    special: frozenset[int]  # ids the file marks as control, unknown or unused
    whole: Mapping[str, int]  # tokens to be found whole in a text before anything else
    whole_normalized: Mapping[str, int]  # the same, found after spaces have become `▁`
    byte_fallback: bool = True


def token_ids(vocabulary: Vocabulary) -> dict[str, int]:
    """Ids by text; no text may stand twice, and none be a flood."""
    _check_sizes(vocabulary)
    ids = {text: id for id, text in enumerate(vocabulary.tokens)}
    if len(ids) != len(vocabulary.tokens):
        twice = next(text for id, text in enumerate(vocabulary.tokens) if ids[text] != id)
        raise TokenizerError(f"{vocabulary.source} has the token {shown(twice)} twice; {_ADVICE}")
    return ids


def merge_ranks(vocabulary: Vocabulary, ids: Mapping[str, int], control: Mapping[str, int]) -> dict[str, int]:
    """Ranks by merge; `ids` are those of ordinary tokens.

    Merges that make a control token, or are made of one, are left out: content can then never become one.
    """
    ranks = dict(zip(vocabulary.merges, range(len(vocabulary.merges)), strict=True))
    if len(ranks) != len(vocabulary.merges):
        raise TokenizerError(f"{vocabulary.source} lists {len(vocabulary.merges) - len(ranks)} merges twice; {_ADVICE}")
    for merge in [merge for merge in ranks if not _leads_from_and_to(ids, merge)]:
        left, _, right = merge.partition(" ")
        for part in (left, right, left + right):
            if part not in ids and part not in control:
                raise TokenizerError(
                    f"{vocabulary.source} has the merge {shown(merge)}, but its vocabulary lacks {shown(part)};"
                    f" {_ADVICE}"
                )
        del ranks[merge]
    return ranks


def _check_sizes(vocabulary: Vocabulary) -> None:
    """Bounds on what `Tokenizer` builds from these texts: patterns and tables that grow faster than the file."""
    whole = [*vocabulary.whole, *vocabulary.whole_normalized]
    for what, found, limit in (
        ("tokens", len(vocabulary.tokens), MAX_TOKENS),
        ("characters in one token", max(map(len, vocabulary.tokens), default=0), MAX_TOKEN_CHARS),
        ("tokens to be found whole", len(whole), MAX_WHOLE),
        ("characters of tokens to be found whole", sum(map(len, whole)), MAX_WHOLE_CHARS),
    ):
        if found > limit:
            raise TokenizerError(f"{vocabulary.source} has {found:,} {what}, where gemsmith takes {limit:,}; {_ADVICE}")


def _leads_from_and_to(ids: Mapping[str, int], merge: str) -> bool:
    left, _, right = merge.partition(" ")
    return left in ids and right in ids and left + right in ids


_ADVICE = "download the tokenizer again"
