"""Config, tokenizer and template of a pack: as they were packed, or told."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from gemsmith.errors import ModelFileError, TokenizerError
from gemsmith.formats import open_checkpoint
from gemsmith.formats.pack import open_pack, verify_pack, write_pack
from gemsmith.hub.names import resolve
from tests.formats.pack.small import small
from tests.formats.pack.test_damage import rewritten

pytestmark = pytest.mark.slow

TINY, TOKENIZER = ("config.json", "generation_config.json", "chat_template.jinja"), "tokenizer.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = small()
    source.generation_config, source.chat_template = {"temperature": 1.0, "top_k": 64}, "{{ messages }}"
    source.tokenizer_path = open_checkpoint(resolve("pebble").path or "").tokenizer_path
    write_pack(tmp_path / "pack", source, "mix")
    return tmp_path / "pack"


@pytest.mark.parametrize("name", TINY)
def test_a_flipped_bit_is_found_at_opening(folder: Path, name: str) -> None:
    data, rng = bytearray((folder / name).read_bytes()), random.Random(0)
    for _ in range(100):
        at, bit = rng.randrange(len(data)), 1 << rng.randrange(8)
        data[at] ^= bit
        (folder / name).write_bytes(data)
        with pytest.raises(ModelFileError, match=f"{name} is not as it was packed; pack the model again .*--temp"):
            open_pack(folder)
        data[at] ^= bit
    (folder / name).write_bytes(data)
    verify_pack(folder)


@pytest.mark.parametrize("name", [TOKENIZER, "tokenizer.gemsmith.table"])
def test_a_flipped_bit_of_the_tokenizer_is_found_by_verifying(folder: Path, name: str) -> None:
    data, rng = bytearray((folder / name).read_bytes()), random.Random(0)
    for _ in range(5):
        at, bit = rng.randrange(len(data)), 1 << rng.randrange(8)
        data[at] ^= bit
        (folder / name).write_bytes(data)
        open_pack(folder)
        with pytest.raises(ModelFileError if name == TOKENIZER else TokenizerError, match=name):
            verify_pack(folder)
        data[at] ^= bit


def test_what_is_gone_is_told(folder: Path) -> None:
    (folder / TOKENIZER).unlink()
    with pytest.raises(ModelFileError, match=r"tokenizer\.json was packed and is gone"):
        verify_pack(folder)
    (folder / "generation_config.json").unlink()
    with pytest.raises(ModelFileError, match=r"generation_config\.json was packed and is gone"):
        open_pack(folder)


def test_a_pack_without_such_sums_opens(folder: Path) -> None:
    rewritten(folder, lambda header, said: said.pop("files"))
    (folder / "generation_config.json").write_text('{"temperature": 0.5}')
    pack = verify_pack(folder)
    assert pack.sums is None and pack.generation_config == {"temperature": 0.5}
