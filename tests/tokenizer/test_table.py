"""Tables: all that a vocabulary says, ids equal to the Python way's, and nothing but our error from a damaged one."""

from __future__ import annotations

import json
import os
import random
import struct
import threading
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.errors import MessageError, TokenizerError
from gemsmith.kernels import native
from gemsmith.tokenizer import StreamDecoder, Tokenizer
from gemsmith.tokenizer.table import HEADER_BYTES, Table, open_table
from gemsmith.tokenizer.table_writer import table_bytes, write_table
from gemsmith.tokenizer.vocabulary import Vocabulary

ALPHABET = "ab>▁\n/"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def both(vocabulary: Vocabulary) -> tuple[Tokenizer, Tokenizer]:
    """The same vocabulary in Python and over its table."""
    table = Table(memoryview(table_bytes(vocabulary)), "a table")
    return Tokenizer(vocabulary), Tokenizer.from_table(table)


@st.composite
def vocabularies(draw: st.DrawFn, alphabet: str = ALPHABET) -> Vocabulary:
    """Random merges in random order, of characters, bytes and what was merged before; some tokens are control."""
    tokens, merges = ["<bos>", *BYTES, *alphabet], []
    for _ in range(draw(st.integers(0, 20))):
        left, right = draw(st.sampled_from(tokens[250:])), draw(st.sampled_from(tokens[250:]))
        merges.append(f"{left} {right}")
        tokens.append(left + right)
    tokens, merges = list(dict.fromkeys(tokens)), draw(st.permutations(list(dict.fromkeys(merges))))
    special = frozenset(draw(st.lists(st.integers(257, len(tokens) - 1), max_size=2)))
    return Vocabulary("a test", tokens, merges, special, {}, {})


@pytest.mark.slow
@given(vocabulary=vocabularies(), data=st.data())
def test_ids_equal_the_python_way(built: None, vocabulary: Vocabulary, data: st.DataObject) -> None:
    plain, table = both(vocabulary)
    assert table._native is not None
    for text in data.draw(st.lists(st.text(ALPHABET + " éz\U0001f600\xf9\xfa", max_size=60), max_size=4)):
        ids = plain.encode(text)
        assert table.encode(text) == ids
        assert table.decode(ids) == plain.decode(ids)


@pytest.mark.slow
@given(vocabulary=vocabularies("ab"), unit=st.text("ab", min_size=1, max_size=9), data=st.data())
def test_windows_change_no_id(built: None, vocabulary: Vocabulary, unit: str, data: st.DataObject) -> None:
    plain = Tokenizer(vocabulary)
    text = data.draw(st.text("ab", max_size=30)) + unit * 60 + data.draw(st.text("ab", max_size=30))
    if any(id in plain.control_ids for id in map(plain.vocabulary.tokens.index, "ab")):
        return
    encode = native().TokenTable(table_bytes(vocabulary)).encode
    whole = encode(text.encode(), window=1 << 30)[0]
    assert whole == plain.encode(text)
    assert encode(text.encode(), window=16)[0] == whole


def test_windows_that_cannot_fit_are_given_up(built: None) -> None:
    """Merges that go from right to left: where tokens begin hangs on the far end of the text."""
    letters = [chr(0x4E00 + n) for n in range(200)]
    merges = [f"{a} {b}" for a, b in reversed(list(pairwise(letters)))]
    vocabulary = Vocabulary("a test", [*letters, *(m.replace(" ", "") for m in merges)], merges, frozenset(), {}, {})
    encode = native().TokenTable(table_bytes(vocabulary)).encode
    for size in range(150, 200):
        text = "".join(letters[:size])
        ids = Tokenizer(vocabulary).encode(text)
        assert encode(text.encode(), window=16) == (ids, "", 0) == encode(text.encode())


@pytest.mark.slow
def test_a_trained_vocabulary(built: None, trained: Path, texts: list[str]) -> None:
    plain = Tokenizer.from_tokenizer_json(trained)
    _, table = both(plain.vocabulary)
    for text in texts:
        ids = plain.encode(text)
        assert table.encode(text) == ids, repr(text)
        assert table.decode(ids) == plain.decode(ids)


def test_it_says_all_that_the_vocabulary_says(trained: Path, tmp_path: Path) -> None:
    vocabulary, path = Tokenizer.from_tokenizer_json(trained).vocabulary, tmp_path / "a.table"
    digest = write_table(path, vocabulary, source_bytes=7)
    table = open_table(path)
    table.verify()
    again = table.vocabulary
    assert table.digest == digest and table.source_bytes == 7
    assert list(again.tokens) == list(vocabulary.tokens) and list(again.merges) == list(vocabulary.merges)
    assert again.tokens[3:9] == list(vocabulary.tokens)[3:9] and again.merges[-2:] == list(vocabulary.merges)[-2:]
    assert (again.special, again.whole, again.whole_normalized, again.byte_fallback) == (
        (vocabulary.special, vocabulary.whole, vocabulary.whole_normalized, vocabulary.byte_fallback)
    )
    assert Tokenizer(again).to_tokenizer_json() == Tokenizer(vocabulary).to_tokenizer_json()
    assert table_bytes(again, 7) == path.read_bytes()  # the same vocabulary, the same bytes


def test_what_it_refuses_is_told_as_the_python_way_does(built: None) -> None:
    vocabulary = Vocabulary("a test", ["a", "<0xC3>", "<bos>"], (), frozenset(), {}, {})
    for tokenizer in both(vocabulary):
        for text in ("aé", "a b", "a\U0001f600"):
            with pytest.raises(TokenizerError, match=r"U\+(00E9|2581|1F600)\).*neither a token nor byte tokens"):
                tokenizer.encode(text)
        with pytest.raises(MessageError, match=r"U\+D83D at character 1"):
            tokenizer.encode("a\ud83d")
        for id in (-1, 3, 10**30, -(10**30)):
            with pytest.raises(TokenizerError, match=f"token id {id} .*0 to 2"):
                tokenizer.decode([0, id, 0])
        assert tokenizer.decode([0, 2, 1]) == "a\ufffd" and tokenizer.decode([2, 0], control=True) == "<bos>a"


@pytest.mark.parametrize(
    "text", [b"\xff", b"a\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x96", b"\x80"]
)
def test_bytes_that_are_no_utf8(built: None, text: bytes) -> None:
    table = native().TokenTable(table_bytes(Vocabulary("a test", ["a", *BYTES], (), frozenset(), {}, {})))
    assert table.encode(b"aa" + text)[1:] == ("not utf-8", 3 if text[:1] == b"a" else 2)


@pytest.mark.slow
@pytest.mark.parametrize("normalized", [False, True])
def test_tokens_found_whole(built: None, trained: Path, normalized: bool, texts: list[str]) -> None:
    vocabulary = Tokenizer.from_tokenizer_json(trained).vocabulary
    found = {text: id for id, text in enumerate(vocabulary.tokens) if text in ("e", "th", "\n", "▁", "<bos>")}
    which = {"whole": {}, "whole_normalized": found} if normalized else {"whole": found, "whole_normalized": {}}
    fields = vocabulary.tokens, vocabulary.merges, vocabulary.special
    plain, table = both(Vocabulary("a test", *fields, **which))
    for text in texts[:400]:
        assert table.encode(text) == plain.encode(text)


@pytest.fixture(scope="module")
def pair(built: None) -> tuple[Tokenizer, Tokenizer]:
    tokens = [*BYTES, "<|turn>", "▁the▁", "é", "▁", "<0x0a>", "<0xfF>"]
    return both(Vocabulary("a test", tokens, (), frozenset(), {}, {}))


@given(ids=st.lists(st.integers(0, 261), max_size=40))
def test_streaming_is_decoding(pair: tuple[Tokenizer, Tokenizer], ids: list[int]) -> None:
    plain, table = pair
    stream = StreamDecoder(table)
    assert "".join(map(stream.push, ids)) + stream.finish() == table.decode(ids) == plain.decode(ids)
    assert table.decode(ids, control=True) == plain.decode(ids, control=True)


@pytest.mark.slow
def test_threads_share_it(built: None, trained: Path, texts: list[str]) -> None:
    _, table = both(Tokenizer.from_tokenizer_json(trained).vocabulary)
    expected, found = [table.encode(text) for text in texts[:200]], {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: [table.encode(text) for text in texts[:200]]}))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(found.values()) == [expected] * 4


@pytest.mark.parametrize("native_code", [True, False])
def test_a_table_cut_under_a_tokenizer_is_told_and_kills_nobody(
    built: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, native_code: bool
) -> None:
    if not native_code:
        monkeypatch.setattr("gemsmith.tokenizer.native.NativeEncoder.is_available", lambda: False)
    path, letters = tmp_path / "a.table", [chr(0x4E00 + n) for n in range(2000)]
    write_table(path, Vocabulary("a test", letters, (), frozenset(), {}, {}))
    table = open_table(path)
    tokenizer = Tokenizer.from_table(table)
    assert tokenizer.encode(letters[1999]) == [1999]
    os.truncate(path, 4096)
    for look in (
        lambda: table.vocabulary.tokens[1999],
        lambda: list(table.vocabulary.tokens),
        table.verify,
        *([lambda: tokenizer.encode(letters[1999]), lambda: tokenizer.decode([1999])] if native_code else []),
    ):
        with pytest.raises(TokenizerError, match=r"a\.table was changed while the model ran from it"):
            look()


# --- files that lie ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sound() -> bytes:
    tokens = ["<bos>", *BYTES, *"▁abcde", "ab", "▁a", "abc", "▁abc", "de", "▁ab"]
    merges = ["a b", "▁ a", "ab c", "▁ abc", "▁a b", "d e"]
    return table_bytes(Vocabulary("a test", tokens, merges, frozenset(), {"de": 267}, {}))


def sealed(data: bytearray) -> bytes:
    """With a right checksum of the header, so that what it says is what is judged."""
    data[HEADER_BYTES - 4 : HEADER_BYTES] = struct.pack("<I", zlib.crc32(data[: HEADER_BYTES - 4]))
    return bytes(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:400], "does not begin with 'gemstok'"),
        (lambda data: b"GGUF" + data[4:], "does not begin with 'gemstok'"),
        (lambda data: data[:-1], "its header claims"),
        (lambda data: data + b"\0" * 64, "its header claims"),
        (lambda data: data[:24] + b"\xff" + data[25:], "damaged header"),
        (lambda data: sealed(bytearray(data[:8] + b"\2" + data[9:])), "version 2 of the format"),
        (lambda data: sealed(bytearray(data[:27] + b"\xff" + data[28:])), "claims 4,278,.* tokens"),
        (lambda data: sealed(bytearray(data[:24] + b"\1" + data[25:])), "contradict its header"),
        (lambda data: sealed(bytearray(data[:95] + b"\x7f" + data[96:])), "ends where there is nothing"),
    ],
)  # fmt: skip
def test_headers_that_lie(tmp_path: Path, sound: bytes, change: Callable[[bytes], bytes], message: str) -> None:
    path = tmp_path / "lies.table"
    path.write_bytes(change(sound))
    with pytest.raises(TokenizerError, match=message) as caught:
        open_table(path)
    assert str(path) in str(caught.value) and "delete it" in str(caught.value)


def test_damage_anywhere_is_found_by_verifying(sound: bytes) -> None:
    for at in range(HEADER_BYTES, len(sound), 997):
        damaged = bytearray(sound)
        damaged[at] ^= 1
        with pytest.raises(TokenizerError, match="checksum"):
            Table(memoryview(damaged), "a table").verify()


@pytest.mark.slow
def test_mutations_give_ids_or_our_error(built: None, sound: bytes) -> None:
    choose, outcomes = random.Random(5), {"opened": 0, "refused": 0}
    texts = ["abc de\n" * 9, " abcabab" * 300, "é😀\0", "d" * 3000]
    for _ in range(2000):
        data = mutated(sound, choose)
        try:
            tokenizer = Tokenizer.from_table(Table(memoryview(data), "a table"))
            use(tokenizer, texts)
            outcomes["opened"] += 1
        except TokenizerError as error:
            outcomes["refused"] += 1
            assert "\n" not in str(error) and len(str(error)) < 600
    assert min(outcomes.values()) > 300, outcomes


@pytest.mark.slow
def test_mutations_by_native_code_alone(built: None, sound: bytes) -> None:
    """It does not lean on what Python looked at before."""
    choose, opened = random.Random(6), 0
    for _ in range(2000):
        try:
            table = native().TokenTable(mutated(sound, choose))
        except ValueError:
            continue
        opened += 1
        for text in (b"abc de\n" * 9, b" abcabab" * 300, b"\xc3\xa9\0"):
            ids, problem, _ = table.encode(text)
            assert problem in ("", "no symbol", "damaged")
            table.decode(ids, True)
        table.decode(list(range(400)))
    assert opened > 300


def mutated(sound: bytes, choose: random.Random) -> bytes:
    """Some bytes, numbers or runs changed in the header, in all of it, or cut off; the header's checksum is right."""
    data = bytearray(sound)
    for _ in range(choose.randint(1, 4)):
        header = choose.random() < 0.3
        at = choose.randrange(8, 300) if header else choose.randrange(HEADER_BYTES, len(data))
        kind = choose.randrange(5)
        if kind == 0:
            data[at] ^= 1 << choose.randrange(8)
        elif kind == 1:
            data[at : at + 4] = struct.pack("<I", choose.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, choose.getrandbits(32)]))
        elif kind == 2:
            data[at : at + 8] = struct.pack(
                "<Q", choose.choice([0, 2**63, 2**64 - 1, len(data), choose.getrandbits(64)])
            )
        elif kind == 3:
            data[at : at + 64] = choose.randbytes(64)
        elif not choose.randrange(8):
            del data[choose.randrange(HEADER_BYTES, len(data)) :]
    return sealed(data[: len(sound)])


def use(tokenizer: Tokenizer, texts: list[str]) -> None:
    for text in texts:
        ids = tokenizer.encode(text)
        assert all(0 <= id < tokenizer.vocab_size for id in ids)
        tokenizer.decode(ids, control=True)
    for id in range(0, tokenizer.vocab_size, 17):
        tokenizer.token_bytes(id)
    tokenizer.to_tokenizer_json()


def test_a_file_that_calls_control_ordinary_gains_nothing(built: None, sound: bytes) -> None:
    """Native code looks at each id it hands out: a control token is never among them, whatever the merges say."""
    tokens = ["<bos>", "a", "b", "ab"]
    data = bytearray(table_bytes(Vocabulary("a test", tokens, ["a b"], frozenset(), {}, {})))
    at = data.rindex(struct.pack("<III", 1, 2, 3))
    data[at : at + 12] = struct.pack("<III", 1, 2, 0)
    tokenizer = Tokenizer.from_table(Table(memoryview(data), "a table"))
    with pytest.raises(TokenizerError, match="damaged, which shows on the text"):
        tokenizer.encode("ab")


def test_whole_tokens_must_be_the_vocabularys() -> None:
    with pytest.raises(TokenizerError, match="'x' whole as token 0, which is another"):
        table_bytes(Vocabulary("a test", ["a"], (), frozenset(), {"x": 0}, {}))


def test_written_as_json_it_reads_back(built: None, sound: bytes, tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_table(Table(memoryview(sound), "a table"))
    path: Any = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(tokenizer.to_tokenizer_json()), encoding="utf-8")
    again = Tokenizer.from_tokenizer_json(path)
    assert again.encode(" abcde de") == tokenizer.encode(" abcde de") == [266, 267, 257, 267]
