"""GGUF metadata: what is read, and that files which lie are refused by name."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.errors import TokenizerError
from gemsmith.tokenizer import Tokenizer
from gemsmith.tokenizer.gguf import read_metadata

VOCABULARY: dict[str, Any] = {
    "tokenizer.ggml.model": "gemma4",
    "tokenizer.ggml.tokens": ["<bos>", "<|channel>", "▁", "a", "b", "ab", "<br>", "x"],
    "tokenizer.ggml.token_type": [3, 4, 1, 1, 1, 1, 4, 5],
    "tokenizer.ggml.merges": ["a b"],
}


def test_reads_every_kind_of_value(write_gguf: Callable[..., Path]) -> None:
    values = {"text": "grüezi", "number": -7, "texts": ["a", "", "▁b"], "numbers": [1, -2, 3], "none": []}
    assert read_metadata(write_gguf(values)) == values
    assert read_metadata(write_gguf(values, version=2)) == values


def test_vocabulary_and_its_types(write_gguf: Callable[..., Path]) -> None:
    tokenizer = Tokenizer.from_gguf(write_gguf(VOCABULARY))
    assert tokenizer.control == {"<bos>": 0, "<|channel>": 1, "x": 7}  # user-defined or not, a channel is control
    assert tokenizer.encode("ab a<br>b") == [5, 2, 3, 6, 4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokenizer.ggml.model": "llama"}, "tokenizer model 'llama', not 'gemma4'"),
        ({"tokenizer.ggml.tokens": 5}, "no list of texts tokenizer.ggml.tokens"),
        ({"tokenizer.ggml.merges": [1]}, "no list of texts tokenizer.ggml.merges"),
        ({"tokenizer.ggml.merges": ["a c"]}, "merge 'a c', but its vocabulary lacks 'c'"),
        ({"tokenizer.ggml.merges": ["b a"]}, "lacks 'ba'"),
        ({"tokenizer.ggml.merges": ["ab"]}, "lacks ''"),
        ({"tokenizer.ggml.merges": ["a b", "a b"]}, "1 merges twice"),
        ({"tokenizer.ggml.token_type": [1]}, "8 tokens"),
        ({"tokenizer.ggml.token_type": [9] * 8}, "8 tokens"),
        ({"tokenizer.ggml.tokens": [*"abcdefg", "a"]}, "token 'a' twice"),
    ],
)
def test_contradictions(write_gguf: Callable[..., Path], change: dict[str, Any], message: str) -> None:
    with pytest.raises(TokenizerError, match=message):
        Tokenizer.from_gguf(write_gguf(VOCABULARY | change))


def claim(kind: int, *rest: bytes) -> bytes:
    """A header that claims one key "k" of type `kind`, followed by `rest`."""
    return b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<I", kind) + b"".join(rest)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not begin with GGUF"),
        (b"GGML" + bytes(40), "does not begin with GGUF"),
        (b"GGUF", "the version at byte 4 claims"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "version 50331648"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**64 - 1), "a key at byte 24 claims"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**63) + b"k" * 9, "a key at byte 24 claims"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2) + b"\xff\xfe", "not UTF-8 in a key"),
        (claim(77), "unknown type 77"),
        (claim(8, struct.pack("<Q", 2**62), b"x" * 20), "'k' at byte .* claims"),
        (claim(9, struct.pack("<IQ", 0, 2**64 - 1)), "'k' at byte .* claims"),
        (claim(9, struct.pack("<IQ", 12, 2**61)), "'k' at byte .* claims"),
        (claim(9, struct.pack("<IQ", 8, 2**61)), "'k' at byte .* claims"),
        (claim(9, struct.pack("<IQQ", 8, 2, 5), b"abcdef12345"), "'k' at byte .* claims"),
        (claim(9, struct.pack("<IQ", 9, 3), bytes(80)), "unknown type 9"),
        (claim(4, b"ab"), "'k' at byte .* claims"),
    ],
)
def test_lying_files(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "lies.gguf"
    path.write_bytes(data)
    with pytest.raises(TokenizerError, match=message):
        read_metadata(path)


def test_a_key_given_twice(tmp_path: Path) -> None:
    path = tmp_path / "twice.gguf"
    entry = struct.pack("<Q", 1) + b"k" + struct.pack("<IB", 0, 1)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + entry * 2)
    with pytest.raises(TokenizerError, match="key 'k' twice"):
        read_metadata(path)


@given(data=st.data())
def test_cut_or_changed_anywhere_only_our_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.gguf"
    sound = bytearray(claim(9, struct.pack("<IQ", 8, 2), *(struct.pack("<Q", 3) + b"abc",) * 2))
    sound[data.draw(st.integers(4, len(sound) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(sound[: data.draw(st.integers(0, len(sound)))])
    try:
        read_metadata(path)
    except TokenizerError as error:
        assert "fuzzed.gguf" in str(error)
