"""Presets against published figures, to the digit."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from gemsmith.config import cost, preset, preset_names
from gemsmith.config.tensors import all_tensors, text_tensors
from gemsmith.errors import ModelNotFoundError

# safetensors counts published with the google/gemma-4-* checkpoints (E2B and E4B: plus 928 scalars without dimensions)
FILE_TOTALS = {
    "e2b": 5_123_178_979,
    "e4b": 7_996_157_418,
    "12b": 11_959_730_224,
    "26b-a4b": 25_805_936_206,
    "31b": 31_273_088_876,
}
TEXT_TOTALS = {
    "e2b": 4_628_569_379,
    "e4b": 7_463_013_418,
    "12b": 11_907_350_320,
    "26b-a4b": 25_233_141_790,
    "31b": 30_697_345_340,
}
COMPONENTS = {
    "e2b": {
        "token_embedding": 402_653_184,
        "ple_table": 2_348_810_240,
        "ple_context": 13_762_816,
        "ple_layers": 27_578_880,
        "attention": 278_412_288,
        "dense_mlp": 1_557_135_360,
        "norms_and_scalars": 216_611,
        "dead_kv": 18_880_512,
        "vision": 168_544_704,
        "audio": 307_184_384,
    },
    "e4b": {
        "token_embedding": 671_088_640,
        "ple_table": 2_818_572_288,
        "ple_context": 27_525_376,
        "ple_layers": 55_157_760,
        "attention": 587_222_272,
        "dense_mlp": 3_303_014_400,
        "norms_and_scalars": 432_682,
        "dead_kv": 55_055_616,
        "vision": 169_331_136,
        "audio": 308_757_248,
    },
    "12b": {
        "token_embedding": 1_006_632_960,
        "attention": 2_406_510_592,
        "dense_mlp": 8_493_465_600,
        "norms_and_scalars": 741_168,
        "vision": 49_922_304,
        "audio": 2_457_600,
    },
    "26b-a4b": {
        "token_embedding": 738_197_504,
        "attention": 1_110_197_760,
        "dense_mlp": 535_265_280,
        "experts": 22_837_985_280,
        "router": 10_901_760,
        "norms_and_scalars": 594_206,
        "vision": 572_794_416,
    },
    "31b": {
        "token_embedding": 1_409_286_144,
        "attention": 8_477_772_800,
        "dense_mlp": 20_808_990_720,
        "norms_and_scalars": 1_295_676,
        "vision": 575_743_536,
    },
}


@pytest.mark.parametrize("name", COMPONENTS)
def test_parameters_to_the_digit(name: str) -> None:
    config = preset(name)
    assert cost.parameters(config) == COMPONENTS[name]
    assert cost.total_parameters(config) == FILE_TOTALS[name]
    assert cost.text_parameters(config) == TEXT_TOTALS[name]


def test_effective_and_active_parameters() -> None:
    assert cost.effective_parameters(preset("e2b")) == 2_279_759_139  # "2.3 B effective"
    assert cost.effective_parameters(preset("e4b")) == 4_644_441_130  # "4.5 B effective"
    assert cost.active_parameters(preset("26b-a4b")) == 3_822_530_590  # "3.8 B active"
    assert cost.active_parameters(preset("31b")) == TEXT_TOTALS["31b"]


def test_e2b_has_the_published_number_of_tensors() -> None:
    assert len(all_tensors(preset("e2b"), include_dead=True)) == 2011


@pytest.mark.parametrize(
    "name, makers, shared", [("e2b", (13, 14), range(15, 35)), ("e4b", (22, 23), range(24, 42)), ("31b", (), ())]
)
def test_sharing_layers_read_the_last_makers(name: str, makers: tuple[int, ...], shared: range) -> None:
    layers = preset(name).text.layers
    assert [layer.index for layer in layers if not layer.makes_kv] == list(shared)
    for layer in layers:
        if not layer.makes_kv:
            assert layer.kv_source == makers[0 if layer.is_sliding else 1]


def test_e2b_widens_the_mlp_where_it_shares() -> None:
    widths = [layer.intermediate_size for layer in preset("e2b").text.layers]
    assert widths == [6144] * 15 + [12_288] * 20


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_ends_with_a_full_layer_and_distinct_ids(name: str) -> None:
    config = preset(name)
    ids = [getattr(config, f"{kind}_token_id") for kind in ("boi", "image", "eoi", "boa", "audio", "eoa", "video")]
    assert len(set(ids)) == 7 and max(ids) < config.text.vocab_size
    assert not config.text.layers[-1].is_sliding
    assert config.text.vocab_size_per_layer_input in (0, config.text.vocab_size)


@pytest.mark.parametrize("name", [name for name in preset_names() if name.startswith("tiny-random-")])
def test_tiny_models_keep_what_makes_their_size(name: str) -> None:
    tiny, released = preset(name), preset(name.removeprefix("tiny-random-"))

    def kinds(config):
        return {(layer.is_sliding, layer.makes_kv, layer.k_eq_v) for layer in config.text.layers}

    assert kinds(tiny) == kinds(released)
    assert without_numbers(all_tensors(tiny)) == without_numbers(all_tensors(released))
    assert cost.total_parameters(tiny) < 1_000_000
    assert len(tiny.text.layers) <= 6


def test_pebble_has_every_tensor_kind_of_e2b() -> None:
    for small, large in (("pebble", "e2b"), ("pebble-moe", "26b-a4b")):
        assert without_numbers(text_tensors(preset(small).text)) == without_numbers(text_tensors(preset(large).text))


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(ModelNotFoundError, match=r"'e3b'.*e2b, e4b, 12b, 26b-a4b, 31b, pebble"):
        preset("e3b")


def without_numbers(names: Iterable[str]) -> set[str]:
    """The kinds of tensors there are, whatever layer they belong to."""
    return {".".join(part for part in name.split(".") if not part.isdecimal()) for name in names}
