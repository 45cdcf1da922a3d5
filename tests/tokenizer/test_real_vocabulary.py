"""The real vocabulary: upstream's expected ids, and equality with the `tokenizers` library."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemsmith.tokenizer import Tokenizer, load_tokenizer

FILE = "ggml-vocab-gemma-4.gguf"


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def oracle(real: Tokenizer, plain_oracle: Callable[..., Any]) -> Any:
    ids = {text: id for id, text in enumerate(real.vocabulary.tokens)}
    return plain_oracle(ids, list(real.vocabulary.merges))


def test_upstream_expected_ids(real: Tokenizer, shared_data: Path) -> None:
    inputs = (shared_data / f"{FILE}.inp").read_text(encoding="utf-8").split("\n__ggml_vocab_test__\n")
    lines = (shared_data / f"{FILE}.out").read_text(encoding="utf-8").splitlines()
    assert len(inputs) == len(lines) == 46
    for text, line in zip(inputs, lines, strict=True):
        assert real.encode(text) == [int(id) for id in line.split()], repr(text)


def test_control_tokens_have_gemmas_ids(real: Tokenizer) -> None:
    ids = {
        "<pad>": 0,
        "<eos>": 1,
        "<bos>": 2,
        "<unk>": 3,
        "<mask>": 4,
        "<|tool>": 46,
        "<tool|>": 47,
        "<|tool_call>": 48,
        "<tool_call|>": 49,
        "<|tool_response>": 50,
        "<tool_response|>": 51,
        '<|"|>': 52,
        "<|think|>": 98,
        "<|channel>": 100,
        "<channel|>": 101,
        "<|turn>": 105,
        "<turn|>": 106,
        "<|image>": 255999,
        "<image|>": 258882,
        "<|image|>": 258880,
        "<|audio>": 256000,
        "<audio|>": 258883,
        "<|audio|>": 258881,
        "<|video|>": 258884,
        "<unused0>": 6,
        "<unused6226>": 262143,
        "[multimodal]": 5,
    }
    assert {text: real.control_id(text) for text in ids} == ids
    assert len(real.control) == len(real.control_ids) == 24 + 6227 + 1
    assert real.vocab_size == 262144


def test_equal_to_the_library_and_never_control(real: Tokenizer, oracle: Any, texts: list[str]) -> None:
    for text in texts:
        ids = real.encode(text)
        assert ids == oracle.encode(text).ids, repr(text)
        assert real.control_ids.isdisjoint(ids)
        assert real.decode(ids) == text.replace("▁", " ")


@settings(max_examples=400)
@given(text=st.text(max_size=60) | st.text(alphabet=" \n\t▁<>/|aeéß世😀\u200d", max_size=60))
def test_equal_to_the_library_on_any_text(real: Tokenizer, oracle: Any, text: str) -> None:
    assert real.encode(text) == oracle.encode(text).ids
    assert real.decode(real.encode(text)) == text.replace("▁", " ")


def test_decoding_equals_the_library(real: Tokenizer, oracle: Any) -> None:
    ids = [id for id in range(0, real.vocab_size, 37) if id not in real.control_ids and not 238 <= id < 494]
    assert real.decode(ids) == oracle.decode(ids)


def test_every_control_text_spelled_as_content_is_ordinary(real: Tokenizer, oracle: Any) -> None:
    for text in [*list(real.control)[:120], "<|video|>", "<image|>"]:
        for content in (text, f"a{text}b", f" {text} {text}\n"):
            ids = real.encode(content)
            assert real.control_ids.isdisjoint(ids)
            assert ids == oracle.encode(content).ids


def test_is_read_within_two_seconds(shared_data: Path) -> None:
    seconds = []
    for _ in range(3):
        start = time.process_time()
        Tokenizer.from_gguf(shared_data / FILE)
        seconds.append(time.process_time() - start)
    assert min(seconds) <= 2


@pytest.mark.long
def test_written_as_tokenizer_json_the_library_agrees(real: Tokenizer, tmp_path: Path) -> None:
    import json

    tokenizers = pytest.importorskip("tokenizers")
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(real.to_tokenizer_json()), encoding="utf-8")
    theirs, again = tokenizers.Tokenizer.from_file(str(path)), load_tokenizer(tmp_path)
    prompt = "<bos><|turn>user\nHi <table> 你好<turn|>\n"
    content = real.encode("user\nHi <table> 你好")
    assert theirs.encode(prompt).ids == [2, 105, *content, 106, 107]
    assert again.encode("user\nHi <table> 你好") == content
    assert again.control == real.control and list(again.vocabulary.merges) == list(real.vocabulary.merges)
