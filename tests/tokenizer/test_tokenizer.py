"""The tokenizer on small vocabularies: equality with the library, and the law that content never becomes control."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.errors import MessageError, TokenizerError
from gemsmith.tokenizer import Tokenizer


def added(id: int, content: str, **flags: bool) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False) | flags
    return {"id": id, "content": content, **flags}


def test_trained_vocabulary_equals_the_library(
    trained: Path, plain_oracle: Callable[..., Any], texts: list[str]
) -> None:
    ours, model = Tokenizer.from_tokenizer_json(trained), json.loads(trained.read_bytes())["model"]
    oracle = plain_oracle(model["vocab"], model["merges"])
    for text in texts:
        ids = ours.encode(text)
        assert ids == oracle.encode(text).ids, repr(text)
        assert ours.decode(ids) == text.replace("▁", " ")
        assert ours.control_ids.isdisjoint(ids)


def test_written_and_read_again_it_is_the_same(trained: Path, tmp_path: Path, texts: list[str]) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    ours, path = Tokenizer.from_tokenizer_json(trained), tmp_path / "tokenizer.json"
    path.write_text(json.dumps(ours.to_tokenizer_json()), encoding="utf-8")
    again, theirs, original = (
        Tokenizer.from_tokenizer_json(path),
        tokenizers.Tokenizer.from_file(str(path)),
        tokenizers.Tokenizer.from_file(str(trained)),
    )
    for text in texts[:300]:
        assert again.encode(text) == ours.encode(text)
        assert theirs.encode(text).ids == original.encode(text).ids


@pytest.mark.parametrize("normalized", [False, True])
def test_tokens_to_be_found_whole_equal_the_library(trained: Path, tmp_path: Path, normalized: bool) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    content = json.loads(trained.read_bytes())
    size = len(content["model"]["vocab"])
    whole = ["<table>", "<table", "</td>", "\n\n", "▁▁▁", "e", "世界"]
    content["added_tokens"] += [
        added(content["model"]["vocab"].get(text, size + at), text, normalized=normalized)
        for at, text in enumerate(text for text in whole)
    ]
    ids = {token["id"] for token in content["added_tokens"]}
    renumber = {id: at for at, id in enumerate(sorted({*range(size), *ids}))}  # ids must have no gaps
    for token in content["added_tokens"]:
        token["id"] = renumber[token["id"]]
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    ours = Tokenizer.from_tokenizer_json(path)
    theirs = tokenizers.Tokenizer.from_file(str(path))
    for text in ("<table><table</td> the\n\n\n世界世", "a   b    c", "▁▁▁▁", "<tab", "e e", " \n\n <table>é"):
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids, repr(text)
    assert "<table>" not in ours.control


def test_content_never_becomes_control_even_by_merges(write_json: Callable[..., Path]) -> None:
    vocab = {
        text: id for id, text in enumerate(["<bos>", "<", "b", "o", "s", ">", "<b", "os", "<bos", "x", "<unused1>"])
    }
    merges = ["< b", "o s", "<b os", "<bos >", "<bos> x"]
    extra = {"<bos>x": 11}
    path = write_json({"vocab": vocab | extra, "merges": merges}, added_tokens=[added(9, "x", special=True)])
    tokenizer = Tokenizer.from_tokenizer_json(path)
    assert tokenizer.control == {"<bos>": 0, "x": 9, "<unused1>": 10}
    assert tokenizer.encode("<bos>") == [8, 5]
    with pytest.raises(TokenizerError, match="'x'"):  # "x" alone is control here, and this vocabulary has no bytes
        tokenizer.encode("x")


@given(ids=st.lists(st.integers(0, 271), max_size=30))
def test_decoding_is_the_bytes_of_the_tokens(ids: list[int]) -> None:
    tokens = [
        "<bos>",
        "▁",
        "a",
        "▁ab",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        *(f"<unused{n}>" for n in range(12)),
    ]
    tokenizer = small(tokens)
    written = b"".join(tokenizer.token_bytes(id) for id in ids)
    assert tokenizer.decode(ids) == written.decode("utf-8", "replace")


def small(tokens: list[str]) -> Tokenizer:
    from gemsmith.tokenizer.vocabulary import Vocabulary

    return Tokenizer(Vocabulary("a test", tokens, (), frozenset(), {}, {}))


def test_tokens_and_their_bytes() -> None:
    tokenizer = small(["<bos>", "▁the", "<0xE2>", "<0x0a>", "<table>", '<|"|>'])
    assert [tokenizer.token_bytes(id) for id in range(6)] == [b"", b" the", b"\xe2", b"\n", b"<table>", b""]
    assert tokenizer.token(1) == "▁the" and tokenizer.token(0) == "<bos>"
    assert tokenizer.decode([0, 1, 2, 3, 5]) == " the\ufffd\n"
    assert tokenizer.decode([0, 1, 5], control=True) == '<bos> the<|"|>'


@pytest.mark.parametrize("id", [-1, 2, 10**12])
def test_ids_outside_the_vocabulary(id: int) -> None:
    tokenizer = small(["a", "b"])
    for use in (tokenizer.token, tokenizer.token_bytes, lambda id: tokenizer.decode([id], control=True)):
        with pytest.raises(TokenizerError, match=f"token id {id} .*0 to 1"):
            use(id)


def test_a_missing_control_token_is_named() -> None:
    with pytest.raises(TokenizerError, match=r"no control token '<\|turn>'"):
        small(["a"]).control_id("<|turn>")


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(MessageError, match=r"U\+D83D at character 3"):
        small(list("abc")).encode("abc\ud83d")
