"""Which table a tokenizer is loaded from: the pack's, the one kept from the first time, or none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from gemsmith.errors import TokenizerError
from gemsmith.tokenizer import Tokenizer, gguf_vocabulary, json_vocabulary, kept_tables, load_tokenizer
from gemsmith.tokenizer.native import NativeEncoder
from gemsmith.tokenizer.table import FILE_NAME
from gemsmith.tokenizer.table_writer import write_table


@pytest.fixture
def all_large(built: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every vocabulary is worth keeping."""
    monkeypatch.setattr(kept_tables, "LARGE", 1)


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, reading a tokenizer.json or GGUF file is an error."""

    def refuse(path: Path) -> NoReturn:
        raise AssertionError(f"{path} was read")

    def begin() -> None:
        monkeypatch.setattr(json_vocabulary, "read", refuse)
        monkeypatch.setattr(gguf_vocabulary, "read", refuse)

    return begin


def is_native(tokenizer: Tokenizer) -> bool:
    return tokenizer._native is not None


def test_a_table_beside_its_tokenizer_json(built: None, write_json: Callable[..., Path], unread: Callable) -> None:  # type: ignore[type-arg]
    path = write_json()
    write_table(path.with_name(FILE_NAME), Tokenizer.from_tokenizer_json(path).vocabulary, path.stat().st_size)
    unread()
    assert [load_tokenizer(each).encode("ab") for each in (path, path.parent)] == [[270]] * 2
    assert is_native(load_tokenizer(path))


def test_a_table_that_belongs_to_another_file_is_left_alone(built: None, write_json: Callable[..., Path]) -> None:
    path = write_json()
    write_table(path.with_name(FILE_NAME), Tokenizer.from_tokenizer_json(path).vocabulary, path.stat().st_size + 1)
    assert not is_native(load_tokenizer(path)) and load_tokenizer(path).encode("ab") == [270]


def test_a_table_alone(write_json: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary = Tokenizer.from_tokenizer_json(write_json()).vocabulary
    pack = tmp_path / "pack"
    pack.mkdir()
    write_table(pack / FILE_NAME, vocabulary)
    for each in (pack, pack / FILE_NAME):
        assert load_tokenizer(each).encode("ab a") == [270, 271]
        assert load_tokenizer(each).vocabulary.source == str(pack / FILE_NAME)
    monkeypatch.setattr(NativeEncoder, "is_available", lambda: False)
    assert load_tokenizer(pack).encode("ab a") == [270, 271] and not is_native(load_tokenizer(pack))
    (pack / FILE_NAME).write_bytes(b"no table")
    with pytest.raises(TokenizerError, match=r"does not begin with 'gemstok'; delete it"):
        load_tokenizer(pack)


def test_the_first_time_it_is_kept(
    all_large: None, write_json: Callable[..., Path], unread: Callable[[], None], kept_tables_folder: Path
) -> None:
    path = write_json()
    first = load_tokenizer(path)
    assert is_native(first) and first.vocabulary.source == str(path)
    unread()
    again = load_tokenizer(path)
    assert is_native(again) and again.vocabulary.source == str(path)
    assert again.encode("ab a") == first.encode("ab a") == [270, 271]
    assert len(list(kept_tables_folder.iterdir())) == 2 and kept_tables_folder.stat().st_mode & 0o77 == 0


def test_a_changed_file_is_read_again(
    all_large: None, write_json: Callable[..., Path], kept_tables_folder: Path
) -> None:
    path = write_json()
    assert load_tokenizer(path).encode("ab") == [270]
    content = json.loads(path.read_text(encoding="utf-8"))
    content["model"]["merges"] = ["▁ a", "a b"][:1]
    path.write_text(json.dumps(content), encoding="utf-8")
    assert load_tokenizer(path).encode("ab") == [267, 268]
    copy = path.with_name("copy.json")
    copy.write_bytes(path.read_bytes())
    assert load_tokenizer(copy).encode("ab") == [267, 268]
    tables = [each for each in kept_tables_folder.iterdir() if each.suffix == ".table"]
    assert len(tables) == 2 and len(list(kept_tables_folder.iterdir())) == 2 + 3  # a copy shares its table


@pytest.mark.parametrize("damage", ["table", "name", "other", "gone"])
def test_what_is_damaged_is_made_again(
    all_large: None, write_json: Callable[..., Path], kept_tables_folder: Path, damage: str
) -> None:
    path = write_json()
    load_tokenizer(path)
    (table,) = kept_tables_folder.glob("*.table")
    (name,) = set(kept_tables_folder.iterdir()) - {table}
    if damage == "table":
        table.write_bytes(table.read_bytes()[:1000])
    elif damage == "name":
        name.write_text("../../../table")
    elif damage == "other":
        table.rename(kept_tables_folder / f"{'0' * 64}.table")
        name.write_text("0" * 64)
    else:
        table.unlink()
    again = load_tokenizer(path)
    assert is_native(again) and again.encode("ab") == [270]
    assert len(name.read_text()) == 64


def test_a_folder_that_cannot_be_written(
    all_large: None, write_json: Callable[..., Path], kept_tables_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_json()
    kept_tables_folder.parent.write_text("a file where the folder would be")
    assert load_tokenizer(path).encode("ab") == [270] and not is_native(load_tokenizer(path))
    monkeypatch.setattr(kept_tables, "tables_folder", lambda: None)
    assert load_tokenizer(path).encode("ab") == [270] and not is_native(load_tokenizer(path))


def test_small_vocabularies_are_not_kept(
    built: None, write_json: Callable[..., Path], kept_tables_folder: Path
) -> None:
    assert not is_native(load_tokenizer(write_json())) and not kept_tables_folder.exists()


def test_where_tables_are_kept() -> None:
    home = os.path.expanduser("~")
    assert kept_tables.tables_folder({"GEMSMITH_HOME": "/g", "XDG_CACHE_HOME": "/x"}) == Path("/g/tables")
    assert kept_tables.tables_folder({"XDG_CACHE_HOME": "/x"}) == Path("/x/gemsmith/tables")
    assert kept_tables.tables_folder({"GEMSMITH_HOME": "relative"}) is None
    assert kept_tables.tables_folder({"GEMSMITH_HOME": "~/own"}) == Path(home, "own", "tables")


# --- the real vocabulary -------------------------------------------------------------------------------------------

MEASURE = """
import sys, time
from pathlib import Path
from gemsmith.kernels import native
from gemsmith.tokenizer import load_tokenizer

def high_water_mark():  # kB
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

native()
before, seconds = high_water_mark(), []
for _ in range(5):
    start = time.perf_counter()
    tokenizer = load_tokenizer(Path(sys.argv[1]))
    seconds.append(time.perf_counter() - start)
opened = high_water_mark() - before
for text in tokenizer.vocabulary.tokens[::3]:  # in the end, nearly every page of the table
    assert tokenizer.decode(tokenizer.encode(text)) == text.replace("▁", " ")
print(min(seconds), opened, high_water_mark() - before, "numpy" in sys.modules, tokenizer._native is not None)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_start_within_50_ms_and_50_MB(built: None, real_table: Path) -> None:
    done = subprocess.run([sys.executable, "-c", MEASURE, real_table.parent], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seconds, opened_kb, used_kb, numpy, native = done.stdout.split()
    assert (numpy, native) == ("False", "True")
    assert float(seconds) < 0.05
    assert int(opened_kb) < 16_000 and int(used_kb) < 50_000, (opened_kb, used_kb)
