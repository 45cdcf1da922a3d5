"""Where soft tokens go: runs of placeholder ids, and chunks that cut none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.config import preset
from gemsmith.runtime.places import Placeholders, chunks

IMAGE, VIDEO, AUDIO = 10, 11, 12
PLACES = Placeholders((IMAGE, VIDEO), (AUDIO,))
IDS = st.lists(st.sampled_from([1, 1, IMAGE, IMAGE, VIDEO, AUDIO]), max_size=60)


def test_runs_of_pictures_and_frames_are_numbered() -> None:
    ids = [1, IMAGE, IMAGE, 1, IMAGE, AUDIO, AUDIO, VIDEO, VIDEO, IMAGE, 1, IMAGE]
    assert PLACES.are_soft(ids).tolist() == [i != 1 for i in ids]
    # as upstream: a frame right behind a picture, which no template writes, is of one block with it
    assert PLACES.blocks(ids).tolist() == [-1, 0, 0, -1, 1, -1, -1, 2, 2, 2, -1, 3]
    assert Placeholders().blocks(ids).tolist() == [-1] * 12 and not Placeholders().are_soft(ids).any()


@pytest.mark.parametrize(
    "name, vision, audio",
    [("e2b", (258_880, 258_884), (258_881,)), ("31b", (258_880, 258_884), ()), ("pebble", (), ())],
)
def test_ids_are_those_of_the_senses_the_model_has(name: str, vision: tuple[int, ...], audio: tuple[int, ...]) -> None:
    assert Placeholders.of(preset(name)) == Placeholders(vision, audio)


@given(ids=IDS, most=st.integers(1, 12))
def test_chunks_cover_everything_once_and_split_no_block(ids: list[int], most: int) -> None:
    blocks = PLACES.blocks(ids)
    ranges = list(chunks(len(ids), most, blocks))
    assert [i for start, end in ranges for i in range(start, end)] == list(range(len(ids)))
    for start, end in ranges:
        inside = blocks[start:end]
        assert end == len(ids) or blocks[end] < 0 or blocks[end] != blocks[end - 1]
        assert end - start <= most or ((inside >= 0).all() and len(set(inside)) == 1)


@given(length=st.integers(0, 60), most=st.integers(1, 12))
def test_without_blocks_chunks_are_as_long_as_allowed(length: int, most: int) -> None:
    sizes = [end - start for start, end in chunks(length, most)]
    assert sum(sizes) == length and all(size == most for size in sizes[:-1])
    assert sizes == [end - start for start, end in chunks(length, most, np.full(length, -1))]
