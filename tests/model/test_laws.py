"""What must hold of the forward pass whatever the weights: chunks, wanted rows, packing, gradients."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor

from gemsmith.cache.dense import DenseCache
from gemsmith.config import preset
from gemsmith.model.init import random_text_model
from gemsmith.model.text import TextModel

pytestmark = pytest.mark.slow  # five models, hundreds of passes

KINDS = ("e2b", "e4b", "12b", "26b-a4b", "31b")
LENGTH = 24  # three windows of the tiny models


def model_of(kind: str) -> TextModel:
    return random_text_model(preset(f"tiny-random-{kind}").text, seed=1)


def ids_of(rows: int, length: int = LENGTH) -> Tensor:
    return torch.randint(0, 4096, (rows, length), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("kind", KINDS)
@hypothesis_settings(max_examples=8)
@given(cuts=st.lists(st.integers(1, 12), min_size=1, max_size=5))
def test_chunks_equal_one_shot(kind: str, cuts: list[int]) -> None:
    model, ids = model_of(kind), ids_of(2, sum(cuts))
    cache = DenseCache(model.text, dtype=torch.float32, batch=2, growth=4)
    with torch.no_grad():
        parts = [model(chunk, cache) for chunk in ids.split(cuts, dim=1)]
        torch.testing.assert_close(torch.cat(parts, dim=1), model(ids), atol=2e-4, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cached", [False, True])
def test_wanted_rows_equal_those_of_all_rows(kind: str, cached: bool) -> None:
    model, ids = model_of(kind), ids_of(2)
    wanted = torch.tensor([[LENGTH - 1, 0], [3, 9]])
    cache = DenseCache(model.text, dtype=torch.float32, batch=2) if cached else None
    with torch.no_grad():
        expected = torch.stack([row[w] for row, w in zip(model(ids), wanted, strict=True)])
        torch.testing.assert_close(model(ids, cache, wanted_BR=wanted), expected, atol=1e-5, rtol=1e-5)


def test_no_wanted_rows_still_fill_the_cache() -> None:
    model, ids = model_of("e2b"), ids_of(1)
    cache = DenseCache(model.text, dtype=torch.float32)
    with torch.no_grad():
        nothing = model(ids[:, :-1], cache, wanted_BR=torch.empty(1, 0, dtype=torch.long))
        assert nothing.shape == (1, 0, 4096)
        torch.testing.assert_close(model(ids[:, -1:], cache), model(ids)[:, -1:], atol=1e-4, rtol=0)


def test_packed_examples_do_not_see_each_other() -> None:
    model, first, second = model_of("e2b"), ids_of(1, 13), ids_of(1, 11)
    packed = torch.cat([first, second], dim=1)
    positions = torch.cat([torch.arange(13), torch.arange(11)])[None]
    segments = torch.tensor([[1] * 13 + [2] * 11])
    with torch.no_grad():
        together = model(packed, positions_BT=positions, segments_BT=segments)
        torch.testing.assert_close(together, torch.cat([model(first), model(second)], 1), atol=1e-4, rtol=0)


def gradients(model: TextModel, ids: Tensor, *, cached: bool = False, checkpointed: bool = False) -> dict[str, Tensor]:
    """The loss (under "") and the gradient of every parameter."""
    model = model.requires_grad_(True)
    model.zero_grad()
    cache = DenseCache(model.text, dtype=torch.float32, batch=ids.shape[0]) if cached else None
    logits = model(ids, cache, checkpoint_layers=checkpointed)
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    loss.backward()
    grads = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return {"": loss.detach(), **grads}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("cached", "checkpointed"), [(True, False), (False, True)])
def test_loss_and_gradients_with_cache_and_checkpointing(kind: str, cached: bool, checkpointed: bool) -> None:
    model, ids = model_of(kind), ids_of(2)
    expected = gradients(model, ids)
    found = gradients(model, ids, cached=cached, checkpointed=checkpointed)
    assert found.keys() == expected.keys() >= {name for name, _ in model.named_parameters()}
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-5, rtol=1e-3, msg=lambda m, n=name: f"{n}: {m}")


def test_gradients_flow_through_the_cache_from_chunk_to_chunk() -> None:
    model, ids = model_of("e2b").requires_grad_(True), ids_of(1)

    def gradient(cuts: list[int]) -> Tensor:
        model.zero_grad()
        cache = DenseCache(model.text, dtype=torch.float32)
        parts = [model(chunk, cache) for chunk in ids.split(cuts, dim=1)]
        torch.cat(parts, dim=1)[:, -1].logsumexp(-1).sum().backward()
        assert model.layers[0].self_attn.k_proj.weight.grad is not None
        return model.layers[0].self_attn.k_proj.weight.grad.clone()

    torch.testing.assert_close(gradient([5, 11, 8]), gradient([LENGTH]), atol=1e-4, rtol=1e-2)


def test_gradient_reaches_the_donor_through_the_layers_that_share() -> None:
    model, ids = model_of("e2b").requires_grad_(True), ids_of(1)
    donor = model.text.layers[-1].kv_source
    assert donor < model.text.num_kv_layers
    model.zero_grad()
    with torch.no_grad():  # silence the donor's own reading, so that only the sharers' remains
        model.layers[donor].self_attn.o_proj.weight.zero_()
    model(ids).logsumexp(-1).sum().backward()
    gradient = model.layers[donor].self_attn.k_proj.weight.grad
    assert gradient is not None and gradient.abs().max() > 1e-4


def test_released_sizes_have_the_released_shapes() -> None:
    from gemsmith.config.tensors import TEXT_PREFIX, text_tensors

    for size in KINDS:
        text = preset(size).text
        with torch.device("meta"):
            model = TextModel(text)
        ours = {TEXT_PREFIX + name: tuple(t.shape) for name, t in model.state_dict().items()}
        assert ours == text_tensors(text), size


def test_positions_only_matter_relative_to_each_other_on_sliding_layers() -> None:
    from gemsmith import ops

    x = torch.randn(1, 6, 2, 16)
    table = [ops.rope_table(torch.arange(6)[None] + shift, 16, 10_000.0, 8) for shift in (0, 100)]
    scores = [torch.einsum("btnh,bsnh->bnts", ops.rope(x, t), ops.rope(x, t)) for t in table]
    for a, b in pairwise(scores):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
