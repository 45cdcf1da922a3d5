"""Streaming: never half a character, and joined it is `decode`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.tokenizer import StreamDecoder, Tokenizer
from gemsmith.tokenizer.vocabulary import Vocabulary

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(Vocabulary("a test", [*BYTES, "<|turn>", "▁the", "é", "▁"], (), frozenset(), {}, {}))


@given(
    ids=st.lists(st.integers(0, 259), max_size=40)
    | st.lists(st.sampled_from([0xF0, 0x9F, 0x98, 0x80, 0xE2, 0x96, 0xED, 0xA0, 0xC3, 256, 257, 258]), max_size=40)
)
def test_joined_it_is_decode(tokenizer: Tokenizer, ids: list[int]) -> None:
    stream = StreamDecoder(tokenizer)
    assert "".join(map(stream.push, ids)) + stream.finish() == tokenizer.decode(ids)


@given(text=st.text(max_size=20))
def test_each_piece_is_whole_characters(tokenizer: Tokenizer, text: str) -> None:
    stream = StreamDecoder(tokenizer)
    pieces = [stream.push(byte) for byte in text.encode()]
    assert [piece for piece in pieces if piece] == list(text)
    assert stream.finish() == ""


def test_control_tokens_write_nothing_and_an_unfinished_character_is_marked(tokenizer: Tokenizer) -> None:
    stream = StreamDecoder(tokenizer)
    assert [stream.push(id) for id in (257, 256, 0xF0, 0x9F)] == [" the", "", "", ""]
    assert stream.finish() == "\ufffd"
    assert stream.finish() == "" and stream.push(257) == " the"
