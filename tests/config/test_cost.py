"""FLOPs and K/V bytes: published figures, closed forms against sums, definitions against counting."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.config import TextConfig, cost, preset, preset_names
from gemsmith.config.tensors import text_tensors

# values per token in full layers, values in all sliding layers once their windows are full, GB at 32k and 128k (16 bit)
KV = {
    "e2b": (3_072, 3_145_728, 0.21, 0.81),
    "e4b": (8_192, 10_485_760, 0.56, 2.17),
    "12b": (8_192, 167_772_160, 0.87, 2.48),
    "26b-a4b": (10_240, 104_857_600, 0.88, 2.89),
    "31b": (40_960, 419_430_400, 3.52, 11.58),
}


@pytest.mark.parametrize("name", KV)
def test_kv_bytes(name: str) -> None:
    config, (full, sliding, gb_32k, gb_128k) = preset(name), KV[name]
    assert cost.kv_bytes(config, 50_001) - cost.kv_bytes(config, 50_000) == 2 * full
    assert cost.kv_bytes(config, 50_000, bytes_per_value=1) == 50_000 * full + sliding
    assert round(cost.kv_bytes(config, 32_768) / 1e9, 2) == gb_32k
    assert round(cost.kv_bytes(config, 131_072) / 1e9, 2) == gb_128k


def test_kv_bytes_below_the_window_and_in_steps() -> None:
    text = preset("pebble").text  # window 64; makers: three sliding of 1 x 32, two full of 1 x 64
    sliding, full = 3 * 2 * 32, 2 * 2 * 64
    assert cost.kv_bytes(text, 0) == 0
    assert cost.kv_bytes(text, 10) == 2 * 10 * (sliding + full)
    assert cost.kv_bytes(text, 10, growth=16) == 2 * 16 * (sliding + full)
    assert cost.kv_bytes(text, 70) == 2 * (64 * sliding + 70 * full)
    assert cost.kv_bytes(text, 70, growth=256) == 2 * (64 * sliding + 256 * full)
    assert cost.kv_bytes(text, 70, bytes_per_value=0.5) == (64 * sliding + 70 * full) // 2


@given(st.sampled_from(preset_names()), st.integers(1, 200), st.booleans())
def test_a_prompt_costs_what_its_tokens_cost(name: str, length: int, skip_shared: bool) -> None:
    text = preset(name).text
    tokens = sum(cost.flops_per_prompt_token(text, t, skip_shared=skip_shared) for t in range(length - 1))
    whole = cost.flops_per_prompt(text, length, skip_shared=skip_shared)
    assert whole == tokens + cost.flops_per_generated_token(text, length)


@pytest.mark.parametrize("name", ["e2b", "e4b", "12b", "31b", "pebble", "tiny-random-e4b"])
def test_flops_are_twice_the_matrices_plus_attention(name: str) -> None:
    """At the first position a query sees one key, so that attention adds 4 · heads · head_dim a layer."""
    text = preset(name).text
    matrices = {n: s for n, s in text_tensors(text).items() if len(s) == 2 and "embed_tokens_per_layer" not in n}
    attention = sum(4 * text.num_attention_heads * layer.head_dim for layer in text.layers)
    expected = 2 * sum(map(math.prod, matrices.values())) + attention
    assert cost.flops_per_generated_token(text, 1) == expected


def test_only_chosen_experts_cost() -> None:
    config = preset("26b-a4b")
    norms = cost.parameters(config)["norms_and_scalars"]
    assert cost.flops_per_generated_token(config, 1) == pytest.approx(
        2 * (cost.active_parameters(config) - norms), rel=1e-3
    )


def test_the_skip_saves_what_sharing_layers_cost() -> None:
    def ratio(name: str) -> float:
        text: TextConfig = preset(name).text
        return cost.flops_per_prompt_token(text, 0, skip_shared=False) / cost.flops_per_prompt_token(text, 0)

    assert round(ratio("e2b"), 1) == 3.2
    assert round(ratio("e4b"), 1) == 1.7
    assert ratio("31b") == 1


def test_sliding_layers_stop_costing_more_past_the_window() -> None:
    text = preset("pebble").text
    per_full_layer = 4 * text.num_attention_heads * text.global_head_dim
    num_full = sum(not layer.is_sliding for layer in text.layers)
    step = cost.flops_per_generated_token(text, 1001) - cost.flops_per_generated_token(text, 1000)
    assert step == num_full * per_full_layer


@pytest.mark.parametrize(
    "name, billions", [("e2b", 0.537), ("e4b", 2.2), ("26b-a4b", 3.0)]
)  # multiply-adds a token with the products of weights alone, of which the head is a 512th
def test_the_least_that_a_prompt_takes(name: str, billions: float) -> None:
    text = preset(name).text
    least, usual = cost.least_flops_per_prompt(text, 512), cost.flops_per_prompt(text, 512)
    assert usual * 0.88 < least < usual
    assert least / 512 / 2e9 == pytest.approx(billions, rel=0.03)


def test_the_least_of_one_token_is_that_of_a_generated_one() -> None:
    text = preset("tiny-random-e2b").text
    for start in (0, 7, 100):
        assert cost.least_flops_per_prompt(text, 1, start=start) == cost.flops_per_generated_token(text, start + 1)


def test_the_least_of_a_prompt_by_counting() -> None:
    """pebble-like: layers before the last maker whole, of that one K and V, of per-layer inputs those layers' share."""
    text = preset("tiny-random-e2b").text
    last, D, P = text.num_kv_layers - 1, text.hidden_size, text.hidden_size_per_layer_input
    shapes = {n.removeprefix("model.language_model."): s for n, s in text_tensors(text).items() if len(s) == 2}
    matrices = sum(math.prod(s) for n, s in shapes.items() if n.startswith(tuple(f"layers.{i}." for i in range(last))))
    maker = sum(math.prod(shapes.get(f"layers.{last}.self_attn.{x}_proj.weight", (0,))) for x in "kv")
    attention = sum(4 * text.num_attention_heads * layer.head_dim for layer in text.layers[:last])
    first = 2 * (matrices + maker + last * D * P) + attention  # the first token sees one position
    assert cost.least_flops_per_prompt(text, 2) == first + cost.flops_per_generated_token(text, 2)


@pytest.mark.parametrize("name", ["e2b", "26b-a4b", "31b"])
def test_bytes_of_a_generated_token(name: str) -> None:
    """Every matrix once in 2 bytes, as its FLOPs count it; norms, scalars and one row add less than a thousandth."""
    text = preset(name).text
    sizes = {tensor: 2 * math.prod(shape) for tensor, shape in text_tensors(text).items()}
    flops = cost.flops_per_generated_token(text, 1)
    assert cost.bytes_per_generated_token(text, sizes) == pytest.approx(flops, rel=1e-3)
    far, near = (cost.bytes_per_generated_token(text, sizes, n) for n in (50_001, 50_000))
    full = sum(4 * x.num_key_value_heads * x.head_dim for x in text.layers if not x.is_sliding)
    assert far - near == pytest.approx(full)


def test_names_of_packed_matrices_count_too() -> None:
    text = preset("26b-a4b").text
    sizes = {"model.language_model.layers.0.experts.gate_up_proj": 1280, "model.vision_tower.x.weight": 1 << 30}
    assert cost.bytes_per_generated_token(text, sizes) == 1280 * 8 / 128
