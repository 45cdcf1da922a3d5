"""A pack's sizes, told before it is made, are those it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from gemsmith.formats.pack import PACK_FILE, known_sizes, pack_in_memory, planned_sizes, sizes_of, write_pack
from tests.formats.pack.small import small


@pytest.mark.parametrize("policy", ["exact", "q8", "mix"])
def test_planned_and_made(policy: str, tmp_path: Path) -> None:
    source = small()
    planned = planned_sizes(source, policy)
    made = sizes_of(write_pack(tmp_path / "pack", source, policy, threads=1))
    assert made.tensors == planned.tensors and made.formats == planned.formats
    assert made.table == planned.table > 0 and made.resident == planned.resident
    header = made.file - planned.file
    assert made.file == (tmp_path / "pack" / PACK_FILE).stat().st_size and 0 < header < 100_000
    assert known_sizes(source.config, policy) == planned, "its tensors are BF16, as released ones"


def test_without_a_file_the_table_is_in_memory() -> None:
    sizes = sizes_of(pack_in_memory(small(), "q4"))
    assert sizes.file == 0 and sizes.resident == sum(sizes.tensors.values()) > sizes.table > 0
