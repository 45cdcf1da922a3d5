"""Every file of the corpus, read again: what was sound is read, what was hostile is refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.fuzz import CORPUS, problem
from tests.hostile.readers import READERS

FILES = sorted(path for path in CORPUS.rglob("*") if path.is_file())
MAX_CORPUS_BYTES = 200_000


@pytest.mark.parametrize("file", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_read_again(file: Path, tmp_path: Path) -> None:
    assert problem(file.parent.name, file.read_bytes(), tmp_path) is None
    if file.name.startswith("sound"):
        READERS[file.parent.name](file)


def test_every_kind_of_file_has_a_corpus_and_it_stays_small() -> None:
    assert {path.parent.name for path in FILES} == READERS.keys()
    assert sum(path.stat().st_size for path in FILES) <= MAX_CORPUS_BYTES


def test_a_reader_that_fails_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for raised in (ValueError("oops"), MemoryError(), RecursionError()):

        def broken(path: Path, raised: Exception = raised) -> None:
            raise raised

        monkeypatch.setitem(READERS, "config", broken)
        assert (problem("config", b"{}", tmp_path) or "").startswith(type(raised).__name__)
