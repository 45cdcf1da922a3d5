"""Tokenizers and data of the chat tests."""

from __future__ import annotations

import pytest

from gemsmith.tokenizer import Tokenizer
from tests.chat.oracle import TEMPLATE, VOCABULARY, data_file
from tests.chat.small import small_tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return small_tokenizer()


@pytest.fixture(scope="session")
def template() -> None:
    """Skips where the canonical template is absent."""
    if data_file(TEMPLATE) is None:
        pytest.skip(f"{TEMPLATE} is neither in ../shared/data nor in the folder GEMSMITH_TEST_DATA names")
    pytest.importorskip("jinja2")


@pytest.fixture(scope="session")
def real() -> Tokenizer:
    """The real vocabulary, 262,144 entries."""
    path = data_file(VOCABULARY)
    if path is None:
        pytest.skip(f"{VOCABULARY} is neither in ../shared/data nor in the folder GEMSMITH_TEST_DATA names")
    return Tokenizer.from_gguf(path)
