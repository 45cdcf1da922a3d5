"""What a pack holds and how large it is, from the config alone."""

from __future__ import annotations

import math

import pytest

from gemsmith.config import preset
from gemsmith.config.cost import text_parameters
from gemsmith.config.tensors import media_tensors, text_tensors
from gemsmith.formats.header import MAX_METADATA_BYTES
from gemsmith.formats.pack import POLICIES, all_packed_tensors, pack_bytes, packed_tensors
from gemsmith.formats.pack.head import UNKNOWN_SUM, Described, entries_of, header_of
from gemsmith.formats.pack.policy import format_of, tensor_formats, widest
from gemsmith.formats.pack.small_files import SMALL_FILES

SIZES = ("e2b", "e4b", "12b", "26b-a4b", "31b", "pebble", "pebble-moe", "tiny-random-e2b")


@pytest.mark.parametrize("size", SIZES)
def test_every_released_tensor_is_packed_once_and_no_dead_one(size: str) -> None:
    config = preset(size)
    parts = [part for tensor in all_packed_tensors(config) for part in tensor.parts]
    assert sorted(parts) == sorted({**text_tensors(config.text), **media_tensors(config)})


@pytest.mark.parametrize(
    "size, policy, matrices, table",
    [  # GB
        ("e2b", "q8", 2.424, 2.496),
        ("e2b", "q4", 1.282, 1.321),
        ("e2b", "mix", 0.921, 1.321),
        ("e4b", "q4", 2.612, 1.585),
        ("e4b", "mix", 2.152, 1.585),
        ("12b", "q4", 6.697, 0),
        ("26b-a4b", "q4", 14.230, 0),
        ("26b-a4b", "mix", 7.807, 0),
        ("31b", "q4", 17.267, 0),
        ("31b", "mix", 14.340, 0),
    ],
)
def test_sizes_of_the_released_models(size: str, policy: str, matrices: float, table: float) -> None:
    sizes = pack_bytes(preset(size).text, policy)
    assert sizes["matrices"] / 1e9 == pytest.approx(matrices, abs=1e-3)
    assert sizes["table"] / 1e9 == pytest.approx(table, abs=1e-3)


def test_sizes_follow_from_the_parameters() -> None:
    text = preset("e2b").text
    exact = pack_bytes(text, "exact")
    norms = exact["vectors"] // 4
    assert exact["matrices"] + exact["table"] == 2 * (text_parameters(preset("e2b")) - norms)
    table = text.vocab_size_per_layer_input * text.num_hidden_layers * text.hidden_size_per_layer_input
    assert pack_bytes(text, "q4")["table"] * 32 == table * 18


def test_mix_takes_two_bits_where_keys_are_shared_and_nowhere_else() -> None:
    text = preset("e2b").text
    two = {t.name for t in packed_tensors(text) if format_of(t, text, "mix", ["BF16"] * 2) == "q2"}
    layers = {int(name.split(".layers.")[1].split(".")[0]) for name in two}
    assert layers == set(range(15, 35))
    assert len(two) == 20 * 4  # q, o, gate with up, down


@pytest.mark.parametrize("policy", POLICIES)
def test_the_router_and_vectors_stay_float32(policy: str) -> None:
    config = preset("26b-a4b")
    formats = tensor_formats(
        config, policy, dict.fromkeys({**text_tensors(config.text), **media_tensors(config)}, "BF16")
    )
    for tensor in packed_tensors(config.text):
        if tensor.arrangement == "vector" or ".router." in tensor.name:
            assert formats[tensor.name] == "f32", tensor.name


def test_a_joined_matrix_takes_the_format_that_holds_both() -> None:
    assert widest(["q4", "q4"]) == "q4"
    assert widest(["q4", "q8"]) == "q8"
    assert widest(["bf16", "f16"]) == widest(["q4", "bf16"]) == "f32"


@pytest.mark.parametrize("size", SIZES)
def test_headers_are_within_what_a_reader_takes(size: str) -> None:
    config = preset(size)
    tensors = all_packed_tensors(config)
    formats = tensor_formats(config, "mix", {part: "BF16" for t in tensors for part in t.parts})
    described = {
        t.name: Described(formats[t.name], t.arrangement, t.rows, t.cols, t.count, UNKNOWN_SUM) for t in tensors
    }
    files = dict.fromkeys(SMALL_FILES, UNKNOWN_SUM)
    header = header_of(entries_of(tensors, formats), "mix", described, files)
    metadata = header.index(b'},"', header.index(b'"gemsmith"'))
    assert metadata < MAX_METADATA_BYTES and len(header) % 4096 == 0
    assert math.prod(tensors[0].shape) == tensors[0].rows * tensors[0].cols
