"""Writes the table of a vocabulary: what native code looks up, and all that the vocabulary says.

Sections, each at a multiple of 64 bytes, of little-endian numbers (uint32 where nothing else is said):

    ends              [tokens + 1]: token i is texts[ends[i]:ends[i + 1]], UTF-8 as the vocabulary spells it
    texts             …
    kinds             uint8 [tokens]: 1 control (never out of a text), 2 a byte token that text may become or write
    pages             uint16 [17408]: which page of `characters` the 64 characters from 64 · i on are on
    characters        [pages, 64]: the token that a character begins as; page 0 is empty
    bytes             [256]: the token of each byte
    merges            [merges, 3]: left, right, and what they become; in order of rank. Not in a text: the last is NONE
    slots             a hash table of merges, open addressing with linear probing: ten bits of the hash, 22 of the rank
    junctions         a bit set of (last symbol, first symbol) that some merge joins, by hash: elsewhere texts are cut
    control, special, whole, whole_normalized     ids, in the vocabulary's order

The hash of a pair is (left · 2^32 + right) · 0x9E3779B97F4A7C15 mod 2^64, of which the upper bits count.
The same vocabulary gives the same bytes on every machine. Needs numpy, which only writing does.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import accumulate
from pathlib import Path

import numpy as np

from gemsmith.errors import TokenizerError
from gemsmith.files import atomic_file
from gemsmith.tokenizer.control import is_control
from gemsmith.tokenizer.table import (
    BYTE,
    BYTE_FALLBACK,
    CHECKSUM,
    CONTROL,
    HEADER,
    HEADER_BYTES,
    MAGIC,
    NONE,
    RANK_BITS,
    SECTION,
    SECTIONS,
    VERSION,
    open_table,
)
from gemsmith.tokenizer.vocabulary import Vocabulary, merge_ranks, token_ids

SPREAD = np.uint64(0x9E3779B97F4A7C15)
PAGE, CODE_POINTS = 64, 0x110000
LONGEST_PROBE = 256  # a table that would need longer ones gets more slots
JUNCTION_BITS = 32  # for each junction: one stranger in 32 is taken for one, and a text is not cut there
MOST_JUNCTION_BITS = 1 << 23
BYTE_TOKEN = re.compile(r"<0x[0-9A-Fa-f]{2}>")
Numbers = np.ndarray


def write_table(path: Path, vocabulary: Vocabulary, source_bytes: int = 0) -> str:
    """Write the table of `vocabulary` whole or not at all, and read it back; returns the digest of its content.

    `source_bytes` is the size of the file it was read from, by which a table beside another file is told.
    """
    content = table_bytes(vocabulary, source_bytes)
    with atomic_file(Path(path)) as file:
        file.write(content)
    table = open_table(path)
    table.verify()
    return table.digest


def table_bytes(vocabulary: Vocabulary, source_bytes: int = 0) -> bytes:
    """The table of a vocabulary; TokenizerError where the vocabulary contradicts itself."""
    ids = token_ids(vocabulary)
    control = {text: id for text, id in ids.items() if id in vocabulary.special or is_control(text)}
    ordinary = {text: id for text, id in ids.items() if text not in control}
    ranks = merge_ranks(vocabulary, ordinary, control)
    merges, joined = _merges(vocabulary, ids, ordinary, ranks)
    slots, longest = _slots(merges, joined)
    pages, characters = _characters(ordinary)
    sections = {
        **_texts(vocabulary.tokens, control),
        "pages": pages,
        "characters": characters,
        "bytes": np.array([ordinary.get(f"<0x{byte:02X}>", NONE) for byte in range(256)], np.uint32),
        "merges": merges,
        "slots": slots,
        "junctions": _junctions(vocabulary.tokens, ordinary, merges[joined]),
        "control": _ids(control.values()),
        "special": _ids(sorted(vocabulary.special)),
        "whole": _ids(_checked(vocabulary, vocabulary.whole)),
        "whole_normalized": _ids(_checked(vocabulary, vocabulary.whole_normalized)),
    }
    counts = len(vocabulary.tokens), len(merges), longest, max(map(len, ordinary), default=1)
    return _assembled(sections, counts, vocabulary.byte_fallback, source_bytes)


def _assembled(sections: Mapping[str, Numbers], counts: tuple[int, ...], fallback: bool, source_bytes: int) -> bytes:
    offset, places, parts = HEADER_BYTES, [], []
    for name in SECTIONS:
        data = sections[name].tobytes()
        places.append(SECTION.pack(offset, len(data)))
        parts.append(data + bytes(-len(data) % 64))
        offset += len(parts[-1])
    body = b"".join(parts)
    flags = BYTE_FALLBACK * fallback
    header = HEADER.pack(
        MAGIC, VERSION, len(SECTIONS), offset, *counts, flags, 0, source_bytes, sha256(body).digest()
    ) + b"".join(places)
    header = header.ljust(HEADER_BYTES - CHECKSUM.size, b"\0")
    return header + CHECKSUM.pack(zlib.crc32(header)) + body


def _texts(tokens: Sequence[str], control: Mapping[str, int]) -> dict[str, Numbers]:
    encoded = [text.encode() for text in tokens]
    kinds = np.zeros(len(tokens), np.uint8)
    kinds[[id for id, text in enumerate(tokens) if text.startswith("<0x") and BYTE_TOKEN.fullmatch(text)]] = BYTE
    kinds[list(control.values())] |= CONTROL
    return {
        "ends": np.fromiter(accumulate(map(len, encoded), initial=0), np.uint32, len(tokens) + 1),
        "texts": np.frombuffer(b"".join(encoded), np.uint8),
        "kinds": kinds,
    }


def _characters(ordinary: Mapping[str, int]) -> tuple[Numbers, Numbers]:
    found = sorted((ord(text), id) for text, id in ordinary.items() if len(text) == 1)
    codes, ids = np.array(found, np.int64).reshape(-1, 2).T
    numbers, place = np.unique(codes // PAGE, return_inverse=True)
    pages = np.zeros(CODE_POINTS // PAGE, np.uint16)
    pages[numbers] = np.arange(1, len(numbers) + 1)
    characters = np.full((len(numbers) + 1, PAGE), NONE, np.uint32)
    characters[place + 1, codes % PAGE] = ids
    return pages, characters


def _merges(
    vocabulary: Vocabulary, ids: Mapping[str, int], ordinary: Mapping[str, int], ranks: Mapping[str, int]
) -> tuple[Numbers, Numbers]:
    """Merges [n, 3], and which of them may happen in a text, bool [n]."""
    lefts, rights, becomes = [], [], []
    for merge in vocabulary.merges:
        left, _, right = merge.partition(" ")
        lefts.append(ids[left])
        rights.append(ids[right])
        becomes.append(ordinary[left + right] if left and right and merge in ranks else NONE)
    merges = np.array([lefts, rights, becomes], np.uint32).T
    if len(merges) >= 1 << RANK_BITS:
        raise TokenizerError(f"{vocabulary.source} has {len(merges):,} merges, where a table takes fewer than 2^22")
    return merges, merges[:, 2] != NONE


def _pairs(left: Numbers, right: Numbers) -> Numbers:
    """left · 2^32 + right, of those where both are something."""
    left, right = (side[(left != NONE) & (right != NONE)].astype(np.uint64) for side in (left, right))
    return left << np.uint64(32) | right


def _slots(merges: Numbers, joined: Numbers) -> tuple[Numbers, int]:
    """The hash table at most half full, and the length of its longest probe."""
    ranks = np.flatnonzero(joined).astype(np.uint32)
    hashes = _pairs(merges[ranks, 0], merges[ranks, 1]) * SPREAD
    bits = max(2, (2 * len(ranks)).bit_length())
    while (found := _placed(hashes, ranks, bits)) is None:
        bits += 1
    return found


def _placed(hashes: Numbers, ranks: Numbers, bits: int) -> tuple[Numbers, int] | None:
    """In each round every merge without a slot tries its next one; of those that meet, the lowest rank takes it."""
    slots = np.full(1 << bits, NONE, np.uint32)
    at = hashes >> np.uint64(64 - bits)
    tag_bits = 32 - RANK_BITS
    tags = (hashes >> np.uint64(64 - bits - tag_bits) & np.uint64((1 << tag_bits) - 1)).astype(np.uint32)
    values = tags << np.uint32(RANK_BITS) | ranks
    for probe in range(1, min(LONGEST_PROBE, len(slots)) + 1):
        free = np.flatnonzero(slots[at] == NONE)
        first = free[np.unique(at[free], return_index=True)[1]]
        slots[at[first]] = values[first]
        rest = np.ones(len(at), bool)
        rest[first] = False
        if not rest.any():
            return slots, probe
        at, values = (at[rest] + np.uint64(1)) & np.uint64(len(slots) - 1), values[rest]
    return None


def _junctions(tokens: Sequence[str], ordinary: Mapping[str, int], merges: Numbers) -> Numbers:
    """The bit set of symbols that may stand on both sides of a merge's seam.

    A token's first and last symbols are its first and last characters; where it begins or ends with what a byte token
    is called, they may be that byte token too.
    """
    firsts, lasts = np.full((2, 2, len(tokens)), NONE, np.uint32)
    for text, id in ordinary.items():
        if text:
            firsts[0, id], lasts[0, id] = ordinary.get(text[0], NONE), ordinary.get(text[-1], NONE)
        if text.startswith("<0x") and BYTE_TOKEN.match(text):
            firsts[1, id] = ordinary.get(text[:6], NONE)
        if text.endswith(">") and BYTE_TOKEN.fullmatch(text[-6:]):
            lasts[1, id] = ordinary.get(text[-6:], NONE)
    pairs = [_pairs(last[merges[:, 0]], first[merges[:, 1]]) for last in lasts for first in firsts]
    distinct = np.unique(np.concatenate(pairs))
    bits = min(MOST_JUNCTION_BITS, max(64, 1 << (JUNCTION_BITS * len(distinct)).bit_length()))
    places = distinct * SPREAD >> np.uint64(64 - (bits.bit_length() - 1))
    out = np.zeros(bits // 8, np.uint8)
    np.bitwise_or.at(out, places // np.uint64(8), np.uint8(1) << (places % np.uint64(8)).astype(np.uint8))
    return out


def _checked(vocabulary: Vocabulary, whole: Mapping[str, int]) -> list[int]:
    for text, id in whole.items():
        if not 0 <= id < len(vocabulary.tokens) or vocabulary.tokens[id] != text:
            raise TokenizerError(f"{vocabulary.source} is to find {text!r} whole as token {id}, which is another")
    return list(whole.values())


def _ids(ids: object) -> Numbers:
    return np.array(list(ids), np.uint32)  # type: ignore[call-overload]
