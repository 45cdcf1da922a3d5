"""tokenizer.json: the forms it is found in, and files that contradict themselves or belong to other models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gemsmith.errors import TokenizerError
from gemsmith.tokenizer import Tokenizer
from gemsmith.tokenizer.json_vocabulary import NORMALIZER, PRE_TOKENIZER


def test_merges_as_texts_or_pairs(write_json: Callable[..., Path]) -> None:
    texts = Tokenizer.from_tokenizer_json(write_json({"merges": ["a b", "▁ a"]}))
    pairs = Tokenizer.from_tokenizer_json(write_json({"merges": [["a", "b"], ["▁", "a"]]}))
    assert texts.encode("ab ac\n") == pairs.encode("ab ac\n")
    assert [texts.token(id) for id in texts.encode("ab ac\n")] == ["ab", "▁a", "c", "<0x0A>"]


def test_the_same_pipeline_in_other_words(write_json: Callable[..., Path]) -> None:
    sequence = {"type": "Sequence", "normalizers": [NORMALIZER]}
    path = write_json(normalizer=sequence, pre_tokenizer=PRE_TOKENIZER, post_processor={"type": "TemplateProcessing"})
    assert Tokenizer.from_tokenizer_json(path).encode("ab")


def model(**changes: Any) -> dict[str, Any]:
    return {"model": changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (model(vocab=[]), r"\[\] for model.vocab"),
        (model(vocab={"a": "0"}), "gives 'a' the id '0'"),
        (model(vocab={"a": True}), "gives 'a' the id True"),
        (model(vocab={"a": -1}), "gives 'a' the id -1"),
        (model(vocab={"a": 1.0}), "gives 'a' the id 1.0"),
        (model(vocab={"x": 10, "y": 10}), "id 10 to both 'x' and 'y'"),
        (model(vocab={"x": 10, "y": 10**15}), "the id 1000000000000000 among 12 tokens"),
        (model(vocab={"\ud800": 10}), "half a character"),
        (model(merges={}, vocab=7), "7 for model.vocab"),
        (model(merges={"a": "b"}), "for merges, which is not a list"),
        (model(merges=["ab"]), "merge 'ab', which is not two texts"),
        (model(merges=["a b c"]), "merge 'a b c', which is not two texts"),
        (model(merges=[["a"]]), r"merge \['a'\], which is not two texts"),
        (model(merges=[["a", 1]]), r"merge \['a', 1\], which is not two texts"),
        (model(merges=[["a b", "c"]]), "without spaces"),
        (model(merges=[None]), "merge None"),
        (model(merges=["a z"]), "vocabulary lacks 'z'"),
        (model(merges=["b a"]), "vocabulary lacks 'ba'"),
        (model(merges=["a b", "a b"]), "1 merges twice"),
        (model(type="Unigram"), "'Unigram' for model.type where Gemma has 'BPE'"),
        (model(dropout=0.1), "model.dropout"),
        (model(ignore_merges=True), "model.ignore_merges"),
        (model(end_of_word_suffix="</w>"), "model.end_of_word_suffix"),
        (model(byte_fallback=1), "1 for byte_fallback"),
        ({"normalizer": None}, "None for normalizer where Gemma has"),
        ({"normalizer": {"type": "Sequence", "normalizers": 3}}, "3 for normalizers"),
        ({"pre_tokenizer": {"type": "ByteLevel"}}, "'ByteLevel'.* for pre_tokenizer"),
        ({"added_tokens": "x"}, "'x' for added_tokens"),
        ({"added_tokens": ["x"]}, "'x' for an entry of added_tokens"),
        ({"added_tokens": [{"id": 0}]}, "None for the content of an added token"),
        ({"added_tokens": [{"id": 0, "content": ""}]}, "'' for the content"),
        ({"added_tokens": [{"content": "new"}]}, "gives 'new' the id None"),
        ({"added_tokens": [{"id": 3, "content": "<bos>"}]}, "gives '<bos>' the ids 2 and 3"),
        ({"added_tokens": [{"id": 2, "content": "new"}]}, "id 2 to both '<bos>' and 'new'"),
        ({"added_tokens": [{"id": 9999, "content": "new"}]}, "the id 9999 among"),
        ({"added_tokens": [{"id": 2, "content": "<bos>", "special": "yes"}]}, "'yes' for special"),
        ({"added_tokens": [{"id": 266, "content": "▁", "lstrip": True}]}, "lstrip of the added token '▁'"),
    ],
)
def test_contradictions_and_other_models(
    write_json: Callable[..., Path], changes: dict[str, Any], message: str
) -> None:
    path = write_json(**changes)
    with pytest.raises(TokenizerError, match=message) as caught:
        Tokenizer.from_tokenizer_json(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[]", r"has \[\] for the file"),
        ("{}", "None for model"),
        ("[" * 1_000_000, "nested too deeply"),
        ('{"model":' * 200_000, "nested too deeply"),
        ('{"model": %s}' % ("9" * 5000), "is not JSON"),
        ('{"model": ' + "[" * 500 + "]" * 500 + "}", "for model, which is not an object"),
    ],
)
def test_files_that_are_no_tokenizer(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TokenizerError, match=message):
        Tokenizer.from_tokenizer_json(path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(b'{"model": "\xff"}')
    with pytest.raises(TokenizerError, match="is not JSON"):
        Tokenizer.from_tokenizer_json(path)


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with open(path, "wb") as file:
        file.truncate(1 << 30)  # sparse: takes no space on disk
    with pytest.raises(TokenizerError, match="1073741824 bytes"):
        Tokenizer.from_tokenizer_json(path)


def test_what_is_written_marks_gemmas_control_tokens(write_json: Callable[..., Path]) -> None:
    tokenizer = Tokenizer.from_tokenizer_json(write_json(added_tokens=[]))
    written = json.loads(json.dumps(tokenizer.to_tokenizer_json()))
    assert {token["content"] for token in written["added_tokens"] if token["special"]} == set(tokenizer.control)
    assert written["model"]["merges"] == [["a", "b"], ["▁", "a"]]
