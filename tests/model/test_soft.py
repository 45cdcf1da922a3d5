"""Soft tokens in the text stream: who sees whom, and that chunks, caches, packing and gradients know of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from gemsmith.cache.dense import DenseCache
from gemsmith.config import TextConfig, preset
from gemsmith.model.init import random_senses, random_text_model
from gemsmith.model.soft import SoftRows
from gemsmith.model.step import make_step
from gemsmith.model.text import TextModel

KINDS = ("e2b", "e4b", "12b", "26b-a4b", "31b")
TWO_WAY = ("12b", "26b-a4b", "31b")
WINDOW = 8
BLOCKS = [-1] * 3 + [0] * 4 + [-1] * 2 + [1] * 20 + [-1] + [2] * 2 + [-1] * 5  # the second longer than two windows
LENGTH = len(BLOCKS)
CLOSE: dict[str, Any] = {
    "atol": 2e-4,
    "rtol": 0.0,
}  # float32 sums in another order; a row that sees one key more differs by 1e-2


def model_of(kind: str) -> TextModel:
    model = random_text_model(preset(f"tiny-random-{kind}").text, seed=1)
    assert model.text.sliding_window == WINDOW
    return model


def ids_of(batch: int = 1) -> Tensor:
    return torch.randint(300, 4000, (batch, LENGTH), generator=torch.Generator().manual_seed(2))


def soft_of(model: TextModel, batch: int = 1, blocks: list[int] | None = None) -> SoftRows:
    """Rows of unit spread in the places of the blocks; and two of a sound, which belongs to none, at the end."""
    block_BT = torch.tensor([blocks or BLOCKS] * batch)
    is_soft_BT = block_BT >= 0
    is_soft_BT[:, -3:-1] = True
    rows = torch.randn(int(is_soft_BT.sum()), model.text.hidden_size, generator=torch.Generator().manual_seed(3))
    return SoftRows(rows, is_soft_BT, block_BT)


def between(soft: SoftRows, start: int, end: int) -> SoftRows:
    """The part of one sequence's soft tokens that falls into a chunk."""
    first = int(soft.is_soft_BT[:, :start].sum())
    is_soft_BT = soft.is_soft_BT[:, start:end]
    return SoftRows(soft.rows_MD[first : first + int(is_soft_BT.sum())], is_soft_BT, soft.block_BT[:, start:end])


def may_see(text: TextConfig, row: int, key: int, is_sliding: bool) -> bool:
    """The rule, one pair at a time."""
    two_way = is_sliding and text.use_bidirectional_attention == "vision"
    same = two_way and BLOCKS[row] >= 0 and BLOCKS[row] == BLOCKS[key]
    return (key <= row or same) and (not is_sliding or row - key < WINDOW)


@pytest.mark.parametrize("kind", KINDS)
def test_masks_are_the_rule_pair_by_pair(kind: str) -> None:
    model = model_of(kind)
    masks = make_step(model.text, ids_of(), None, None, None, soft_of(model)).mask
    for is_sliding in (True, False):
        wanted = [[may_see(model.text, row, key, is_sliding) for key in range(LENGTH)] for row in range(LENGTH)]
        assert masks[is_sliding][0].tolist() == wanted
    assert bool(masks[True][0, 9, 28]) == (kind in TWO_WAY), "the first row of a picture and its last, 19 ahead"
    assert not masks[True][0, 28, 9] and not masks[False][0, 9, 28]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_soft_tokens_take_the_places_of_whatever_id_stands_there(kind: str) -> None:
    model, soft = model_of(kind), soft_of(model_of(kind))
    ids = ids_of()
    others = ids.masked_fill(soft.is_soft_BT, 7)
    with torch.no_grad():
        assert torch.equal(model(ids, soft=soft), model(others, soft=soft))
        louder = replace(soft, rows_MD=soft.rows_MD * 1.5)
        assert not torch.equal(model(ids, soft=soft), model(ids, soft=louder))
        assert not torch.equal(model(ids, soft=soft), model(ids))


def test_embedded_text_as_soft_tokens_is_text_but_for_the_per_layer_table() -> None:
    """A soft token is not scaled: the scaled embedding of an id, given as one, is that id, where blocks say nothing."""
    model = model_of("31b")
    ids, soft = ids_of(), soft_of(model, blocks=[-1] * LENGTH)
    with torch.no_grad():
        soft = replace(soft, rows_MD=model.embed_tokens(ids)[soft.is_soft_BT])
        assert torch.equal(model(ids, soft=soft), model(ids))


def test_as_many_rows_as_places() -> None:
    model = model_of("e2b")
    soft = soft_of(model)
    with pytest.raises(AssertionError, match="29 soft tokens for 28 places"):
        model(ids_of(), soft=replace(soft, rows_MD=torch.cat([soft.rows_MD, soft.rows_MD[:1]])))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cuts", [[9, 20, 10], [3, 4, 2, 20, 1, 2, 1, 1, 1, 1, 3], [29, 10], [LENGTH]])
def test_chunks_that_keep_blocks_equal_one_shot(kind: str, cuts: list[int]) -> None:
    model, ids = model_of(kind), ids_of()
    soft = soft_of(model)
    cache, parts, start = DenseCache(model.text, dtype=torch.float32, growth=4), [], 0
    with torch.no_grad():
        for size in cuts:
            here = between(soft, start, start + size)
            some = here if len(here.rows_MD) else None
            parts.append(model(ids[:, start : start + size], cache, soft=some))
            start += size
        torch.testing.assert_close(torch.cat(parts, dim=1), model(ids, soft=soft), **CLOSE)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cached", [False, True])
def test_wanted_rows_equal_those_of_all_rows(kind: str, cached: bool) -> None:
    model, ids = model_of(kind), ids_of(2)
    soft, wanted = soft_of(model, 2), torch.tensor([[LENGTH - 1, 5], [12, 30]])
    cache = DenseCache(model.text, dtype=torch.float32, batch=2) if cached else None
    with torch.no_grad():
        expected = torch.stack([row[w] for row, w in zip(model(ids, soft=soft), wanted, strict=True)])
        torch.testing.assert_close(model(ids, cache, wanted_BR=wanted, soft=soft), expected, **CLOSE)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_packed_examples_do_not_see_each_other(kind: str) -> None:
    """Two examples in one row, whose blocks have the same numbers."""
    model, ids = model_of(kind), ids_of()
    soft = soft_of(model)
    twice = torch.cat([ids, ids], dim=1)
    positions = torch.cat([torch.arange(LENGTH)] * 2)[None]
    segments = torch.arange(2).repeat_interleave(LENGTH)[None]
    both = SoftRows(soft.rows_MD.repeat(2, 1), soft.is_soft_BT.repeat(1, 2), soft.block_BT.repeat(1, 2))
    with torch.no_grad():
        together = model(twice, positions_BT=positions, segments_BT=segments, soft=both)
        torch.testing.assert_close(together, model(ids, soft=soft).repeat(1, 2, 1), **CLOSE)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("cached", "checkpointed"), [(True, False), (False, True)])
def test_gradients_with_cache_and_checkpointing(kind: str, cached: bool, checkpointed: bool) -> None:
    model, ids = model_of(kind).requires_grad_(True), ids_of()

    def gradients(cache: DenseCache | None, checkpoint_layers: bool) -> list[Tensor]:
        model.zero_grad()
        soft = soft_of(model)
        soft.rows_MD.requires_grad_(True)
        logits = model(ids, cache, soft=soft, checkpoint_layers=checkpoint_layers)
        logits[:, -1].logsumexp(-1).sum().backward()
        parameters = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        assert soft.rows_MD.grad is not None and soft.rows_MD.grad.abs().min(-1).values.max() > 0
        return [soft.rows_MD.grad, *parameters]

    expected = gradients(None, False)
    found = gradients(DenseCache(model.text, dtype=torch.float32) if cached else None, checkpointed)
    assert len(found) == len(expected) > 1
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_reaches_every_weight_of_the_senses_through_the_text_model(kind: str) -> None:
    import numpy as np

    config = preset(f"tiny-random-{kind}")
    senses, model = random_senses(config, 0), model_of(kind)
    seen = senses.see(torch.randint(0, 256, (2, 96, 144, 3), dtype=torch.uint8)).flatten(0, 1)
    rows, blocks = [seen], [0] * 6 + [1] * 6
    if config.audio is not None:
        samples = (0.3 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
        rows.append(senses.hear(samples))
        blocks += [-1] * len(rows[1])
    count = len(blocks)
    soft = SoftRows(torch.cat(rows), torch.tensor([[True] * count + [False]]), torch.tensor([[*blocks, -1]]))
    model(torch.full((1, count + 1), 300), soft=soft)[:, -1].logsumexp(-1).sum().backward()
    for name, parameter in senses.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
