"""The real vocabulary over its table: equal to the `tokenizers` library on a million texts, and linear on any."""

from __future__ import annotations

import base64
import random
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gemsmith.tokenizer import StreamDecoder, Tokenizer
from gemsmith.tokenizer.table import open_table
from tests.tokenizer.conftest import CONTROL, FRAGMENTS

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
FILE = "ggml-vocab-gemma-4.gguf"
COUNT, BATCH = 1_000_000, 20_000


@pytest.fixture(scope="module")
def table(built: None, real_table: Path) -> Tokenizer:
    return Tokenizer.from_table(open_table(real_table))


def test_it_is_the_same_vocabulary(table: Tokenizer, real: Tokenizer) -> None:
    assert (table.control, table.vocab_size, table.max_characters) == (
        (real.control, real.vocab_size, real.max_characters)
    )
    assert list(table.vocabulary.tokens) == list(real.vocabulary.tokens)
    assert list(table.vocabulary.merges) == list(real.vocabulary.merges)
    every = range(real.vocab_size)
    assert [*map(table.token_bytes, every)] == [*map(real.token_bytes, every)]
    assert table.decode(every, control=True) == real.decode(every, control=True)


def test_upstream_expected_ids(table: Tokenizer, shared_data: Path) -> None:
    inputs = (shared_data / f"{FILE}.inp").read_text(encoding="utf-8").split("\n__ggml_vocab_test__\n")
    lines = (shared_data / f"{FILE}.out").read_text(encoding="utf-8").splitlines()
    for text, line in zip(inputs, lines, strict=True):
        assert table.encode(text) == [int(id) for id in line.split()], repr(text)


def test_equal_to_the_python_way(table: Tokenizer, real: Tokenizer, texts: list[str]) -> None:
    for text in [*texts, *map("".join, zip(texts, texts[7:], strict=False))]:
        ids = real.encode(text)
        assert table.encode(text) == ids, repr(text)
        assert table.decode(ids) == real.decode(ids)


def test_streaming_is_decoding(table: Tokenizer) -> None:
    choose = random.Random(1)
    for _ in range(300):
        ids = choose.choices(range(240, 500), k=20) + choose.choices(range(table.vocab_size), k=20)
        choose.shuffle(ids)
        stream = StreamDecoder(table)
        assert "".join(map(stream.push, ids)) + stream.finish() == table.decode(ids)


# --- a million texts -----------------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_million_texts_equal_the_library(table: Tokenizer, plain_oracle: Callable[..., Any]) -> None:
    tokens = table.vocabulary.tokens
    oracle = plain_oracle({text: id for id, text in enumerate(tokens)}, list(table.vocabulary.merges))
    control, count = table.control_ids, 0
    for batch in batches():
        for text, theirs in zip(batch, oracle.encode_batch(batch), strict=True):
            ids = table.encode(text)
            assert ids == theirs.ids, repr(text)
            assert control.isdisjoint(ids)
        count += len(batch)
    assert count >= COUNT


def batches() -> Iterator[list[str]]:
    """A million texts: every line of real sources and docs first, then random ones of every kind, in turn."""
    choose, real = random.Random(4), list(real_lines())
    kinds = (fragments, blocks, mixed_blocks, runs, pieces_of(real), joined_lines(real), control_texts, emoji)
    made = [real[at : at + BATCH] for at in range(0, 300_000, BATCH)]
    yield from (batch for batch in made if batch)
    for _ in range((COUNT - sum(map(len, made))) // BATCH + 1):
        yield [kinds[n % len(kinds)](choose) for n in range(BATCH)]


def real_lines() -> Iterator[str]:
    library = Path(sysconfig.get_paths()["stdlib"])
    for path in [*sorted(ROOT.rglob("docs/**/*.md")), *sorted(ROOT.glob("*.md")), *sorted(library.glob("*.py"))]:
        yield from path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)


def fragments(choose: random.Random) -> str:
    return "".join(choose.choices(FRAGMENTS, k=choose.randint(1, 9)))


BLOCKS = [
    (0x20, 0x7F), (0x20, 0x7F), (0x00, 0x100), (0x100, 0x250), (0x300, 0x370), (0x370, 0x400), (0x400, 0x530),
    (0x530, 0x700), (0x900, 0xE00), (0xE00, 0x1000), (0x1000, 0x1400), (0x1780, 0x1800), (0x1E00, 0x2000),
    (0x2000, 0x2C00), (0x3040, 0x3100), (0x3400, 0x4DC0), (0x4E00, 0xA000), (0xAC00, 0xD7A4), (0xE000, 0xF900),
    (0xF900, 0x10000), (0x10000, 0x11000), (0x1D400, 0x1D800), (0x1F000, 0x1FA00), (0x20000, 0x20100),
    (0xE0000, 0xE0200), (0x10FF00, 0x110000),
]  # fmt: skip


def blocks(choose: random.Random) -> str:
    """Characters of one block, with spaces."""
    first, end = choose.choice(BLOCKS)
    return "".join(" " if choose.random() < 0.15 else chr(choose.randrange(first, end)) for _ in range(12))


def mixed_blocks(choose: random.Random) -> str:
    return "".join(chr(choose.randrange(*choose.choice(BLOCKS))) for _ in range(12))


def runs(choose: random.Random) -> str:
    """Runs of spaces, newlines, digits, signs: what has tokens of many lengths."""
    return "".join(choose.choice(" \n\t▁=-_*.a0/\r") * choose.randint(1, 40) for _ in range(3))


def pieces_of(real: list[str]) -> Callable[[random.Random], str]:
    def piece(choose: random.Random) -> str:
        line = choose.choice(real)
        start = choose.randrange(len(line))
        return line[start : start + choose.randint(1, 40)]

    return piece


def joined_lines(real: list[str]) -> Callable[[random.Random], str]:
    """Words of real lines, without the spaces between them, or with the wrong ones."""
    return lambda choose: choose.choice(("", "  ", "\u00a0", "> ")).join(choose.choice(real).split()[:6])


def control_texts(choose: random.Random) -> str:
    return choose.choice(("", " ", "a", "\n")).join(choose.choices([*CONTROL, "<|image|>", "<unused7>", "x"], k=3))


def emoji(choose: random.Random) -> str:
    parts = ["\u200d", "\ufe0f", "\u20e3", *map(chr, range(0x1F3FB, 0x1F400))]
    return "".join(
        chr(choose.randrange(0x1F300, 0x1FAFF)) + (choose.choice(parts) if choose.random() < 0.5 else "")
        for _ in range(5)
    )


# --- long texts ----------------------------------------------------------------------------------------------------

LONG: dict[str, Callable[[int], str]] = {
    "one letter": lambda n: "a" * n,
    "spaces": lambda n: " " * n,
    "newlines": lambda n: "\n" * n,
    "two letters": lambda n: "ab" * (n // 2),
    "emoji": lambda n: "😀" * n,
    "families": lambda n: "👨\u200d👩\u200d👧" * (n // 5),
    "random bytes": lambda n: random.Random(1).randbytes(n).decode("latin-1"),
    "random characters": lambda n: "".join(map(chr, random.Random(2).choices(range(0xE000, 0x20000), k=n))),
    "base64": lambda n: base64.b64encode(random.Random(3).randbytes(3 * n // 4)).decode(),
    "letters": lambda n: "".join(random.Random(5).choices("abcdefghijklmnopqrstuvwxyz", k=n)),
    "no spaces": lambda n: "".join((ROOT / "README.md").read_text(encoding="utf-8").split(" ") * (n // 4000 + 1))[:n],
    "> <": lambda n: "> <" * (n // 3),
}


@pytest.mark.parametrize("kind", LONG)
def test_time_grows_with_length(table: Tokenizer, kind: str) -> None:
    """A hundred times the text takes about a hundred times as long; n² would be 10,000 times, n log n 150."""
    short, long = LONG[kind](10_000), LONG[kind](1_000_000)
    assert seconds(table, long, 2) < 350 * max(seconds(table, short, 9), 2e-4)


def seconds(table: Tokenizer, text: str, runs: int) -> float:
    """Of a processor, the least of some runs."""
    found = []
    for _ in range(runs):
        start = time.process_time()
        table.encode(text)
        found.append(time.process_time() - start)
    return min(found)


@pytest.mark.parametrize("kind", LONG)
def test_long_texts_equal_the_python_way(table: Tokenizer, real: Tokenizer, kind: str) -> None:
    """Longer than several windows, so that their seams are seen."""
    text = LONG[kind](12_345)
    assert table.encode(text) == real.encode(text)
    assert table.encode("x" + text + "y") == real.encode("x" + text + "y")
