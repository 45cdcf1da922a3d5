"""A GGUF file gives the checkpoint it was written from: config, names, values, vocabulary, stop ids."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from bench.gguf_writing import gguf_arrays, gguf_name, write_gguf
from gemsmith.cli.quantize import source_bytes
from gemsmith.config import GenerationConfig
from gemsmith.errors import ConfigError, ModelFileError, TensorMismatchError
from gemsmith.files import MappedFile
from gemsmith.formats.gguf import checkpoint as gguf_checkpoint
from gemsmith.formats.gguf import open_gguf
from gemsmith.formats.pack import write_pack
from gemsmith.tokenizer import load_tokenizer
from tests.formats.gguf.small import SIZES, random_tensors, text_only, vocabulary

pytestmark = pytest.mark.slow
E2B, MOE = "tiny-random-e2b", "tiny-random-26b-a4b"
GATES = "blk.0.ffn_gate_exps.weight"


def written(folder: Path, name: str = E2B, kind: str = "F32", **options: Any) -> Path:
    """A tiny model as a GGUF file."""
    return write_gguf(folder / "x.gguf", text_only(name), random_tensors(name), vocabulary(), kind, **options)


def values(checkpoint: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Copies, so that the file may be written anew."""
    return {name: view.numpy().copy() for name, view in checkpoint.items()}


@pytest.mark.parametrize("size", SIZES)
def test_every_size_comes_back_as_it_was(tmp_path: Path, size: str) -> None:
    name = f"tiny-random-{size}"
    generation = {"suppress_tokens": [4094, 4091]} if size == "12b" else {}  # which is how 12B is known
    checkpoint = open_gguf(written(tmp_path, name, generation=generation))
    assert checkpoint.config.text == text_only(name).text
    assert list(checkpoint) == list(random_tensors(name))
    for tensor, view in random_tensors(name).items():
        assert (checkpoint[tensor].shape, checkpoint[tensor].dtype) == (view.shape, "F32")
        assert checkpoint[tensor].buffer == view.buffer
        assert isinstance(checkpoint[tensor].buffer.obj, MappedFile)


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0"])
def test_values_are_those_of_the_gguf_package(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, kind=kind)
    checkpoint, theirs = open_gguf(path), {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    assert kind in {view.dtype for view in checkpoint.values()}
    for name, view in checkpoint.items():
        tensor = theirs[gguf_name(name, checkpoint.config.text.num_hidden_layers)]
        expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(view.shape)
        assert tensor.tensor_type.name == view.dtype
        np.testing.assert_array_equal(view.numpy(), expected, strict=True)


def test_experts_are_joined_when_their_bytes_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, MOE, "Q8_0", separate_experts=True)
    looks: list[str] = []
    joined = gguf_checkpoint._Joined.buffer.fget
    monkeypatch.setattr(
        gguf_checkpoint._Joined, "buffer", property(lambda view: looks.append(view.name) or joined(view))
    )
    source = open_gguf(path)
    pairs = [name for name in source if name.endswith("experts.gate_up_proj")]
    assert pairs and source_bytes(source) == sum(view.nbytes for view in source.values()) and not looks
    for name in pairs:
        assert source[name].nbytes == len(joined(source[name])) and "Q8_0" in repr(source[name])
    write_pack(tmp_path / "pack", source, "exact")
    assert sorted(looks) == sorted(pairs)  # each once


def test_experts_in_two_tensors_are_joined(tmp_path: Path) -> None:
    for kind in ("F32", "Q8_0"):
        fused = open_gguf(written(tmp_path, MOE, kind))
        joined = values(fused)
        apart = open_gguf(written(tmp_path, MOE, kind, separate_experts=True))
        assert apart.config == fused.config and list(apart) == list(joined)
        for name, array in values(apart).items():
            np.testing.assert_array_equal(array, joined[name])


def test_one_expert_whose_dimension_was_dropped(tmp_path: Path) -> None:
    scales = {f"blk.{i}.ffn_down_exps.scale": np.ones(1, np.float32) for i in range(3)}
    arrays = dict(gguf_arrays(text_only(MOE).text, random_tensors(MOE)))
    routers = {f"blk.{i}.ffn_gate_inp.weight": arrays[f"blk.{i}.ffn_gate_inp.weight"][0] for i in range(3)}
    one = {name: array[0] for name, array in arrays.items() if name.endswith("_exps.weight")}
    path = written(tmp_path, MOE, changes=one | scales | routers)
    change_key(path, "gemma4.expert_count", 1)
    change_key(path, "gemma4.expert_used_count", 1)
    shapes = {name.rpartition("0.")[2]: view.shape for name, view in open_gguf(path).items() if ".layers.0." in name}
    assert shapes["experts.gate_up_proj"] == (1, 32, 32) and shapes["experts.down_proj"] == (1, 32, 16)
    assert shapes["router.proj.weight"] == (1, 32)


def test_dead_keys_and_values_may_be_there_or_not(tmp_path: Path) -> None:
    with_dead = values(open_gguf(written(tmp_path)))
    without = values(open_gguf(written(tmp_path, with_dead=False)))
    assert with_dead.keys() == without.keys()
    assert not any((array == 7).all() for array in with_dead.values())


def test_vocabulary_template_and_sampling(tmp_path: Path) -> None:
    sampling = {"top_k": 20, "top_p": 0.9, "min_p": 0.05, "temperature": 0.7}
    path = written(tmp_path, generation=sampling, chat_template="{{ messages }}")
    checkpoint = open_gguf(path)
    assert checkpoint.chat_template == "{{ messages }}"
    found = GenerationConfig.from_json(checkpoint.generation_config or {})
    assert found == GenerationConfig(**sampling, eos_token_ids=(1, 106, 50))
    assert checkpoint.tokenizer_path == path
    text = "What is 17 + 25?\n\n<|turn>é"
    assert load_tokenizer(path).encode(text) == load_tokenizer_of_pebble().encode(text)


def test_a_file_without_a_vocabulary_serves_for_logits(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "x.gguf", text_only(E2B), random_tensors(E2B), None)
    checkpoint = open_gguf(path)
    assert checkpoint.tokenizer_path is None and checkpoint.generation_config is None


def test_a_greedy_file(tmp_path: Path) -> None:
    found = open_gguf(written(tmp_path, generation={"temperature": 0.0, "suppress_tokens": [7]})).generation_config
    assert found and found["do_sample"] is False and found["suppress_tokens"] == [7]


def test_a_copy_of_the_embedding_as_head_is_left_out(tmp_path: Path) -> None:
    for kind in ("F32", "Q4_0"):
        head = dict(gguf_arrays(text_only(E2B).text, random_tensors(E2B)))["token_embd.weight"]
        checkpoint = open_gguf(written(tmp_path, kind=kind, changes={"output.weight": head}))
        assert len(checkpoint) == len(random_tensors(E2B))
        with pytest.raises(ModelFileError, match=r"output.weight that is not its embedding"):
            open_gguf(written(tmp_path, kind=kind, changes={"output.weight": head + 1}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blk.0.attn_q.weight": None}, r"1 tensor missing: .*layers.0.self_attn.q_proj.weight"),
        ({"blk.0.attn_q.weight": np.ones((32, 32), np.float32)}, r"wrong shape: .*q_proj.weight \[32, 32\] instead of"),
        ({"blk.0.attn_qkv.weight": np.ones((32, 32), np.float32)}, r"1 tensor unexpected: blk.0.attn_qkv.weight"),
        ({"blk.99.attn_q.weight": np.ones((32, 32), np.float32)}, r"1 tensor unexpected: .*layers.99"),
        ({"rope_freqs.weight": None}, "no tensor rope_freqs.weight"),
        ({"rope_freqs.weight": np.full(16, 2, np.float32)}, "does more than keep pairs from turning"),
        ({"rope_freqs.weight": np.ones(8, np.float32)}, r"as F32 \[8\], where F32 \[16\]"),
        ({"token_embd.weight": None}, "no tensor token_embd.weight"),
        ({"per_layer_token_embd.weight": None}, "no tensor per_layer_token_embd.weight"),
        ({"output_norm.weight": None}, "1 tensor missing: model.language_model.norm.weight"),
    ],
)
def test_other_tensors(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, TensorMismatchError), match=message) as caught:
        open_gguf(written(tmp_path, changes=changes))
    assert str(tmp_path / "x.gguf") in str(caught.value)


def test_gates_and_ups_of_different_types(tmp_path: Path) -> None:
    path = written(tmp_path, MOE, separate_experts=True, changes={"blk.0.ffn_up_exps.weight": None})
    with pytest.raises(ModelFileError, match=r"blk.0.ffn_gate_exps.weight as F32 .* is not there"):
        open_gguf(path)
    both = {GATES: np.ones((8, 16, 32), np.float32), GATES.replace("gate", "up"): np.ones((8, 16, 32), np.float32)}
    with pytest.raises(ModelFileError, match=r"layers.0.experts.gate_up_proj twice"):
        open_gguf(written(tmp_path, MOE, changes=both))


def test_types_that_are_not_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"token_embd.weight is Q5_0 \(as \d+ others\)\. It reads F32, F16, BF16"):
        open_gguf(written(tmp_path, kind="Q5_0"))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("general.architecture", "gemma3", "architecture 'gemma3'; gemsmith runs 'gemma4'"),
        ("general.architecture", "clip", "senses of a model"),
        ("general.architecture", "gemma4-assistant", "a drafter"),
        ("general.type", "adapter", "no model but 'adapter'"),
        ("split.count", 3, "one of 3 parts .* llama-gguf-split --merge"),
        ("gemma4.block_count", 0, "0 layers"),
        ("gemma4.block_count", 7, "where 7 truth values stand"),
        ("gemma4.attention.sliding_window_pattern", [True] * 6, "layer_types must be a list that ends with"),
        ("gemma4.embedding_length", "big", "where a whole number stands"),
        ("gemma4.embedding_length", None, "no key gemma4.embedding_length"),
        ("gemma4.embedding_length", 2**30, "hidden_size must be int from 1"),
        ("gemma4.attention.head_count_kv", [1, 2, 1, 1, 1, 1], "different values of gemma4.attention.head_count_kv"),
        ("gemma4.attention.head_count_kv", [1, 1, 2, 1, 1, 2], "heads of their own, and a projection for values"),
        ("gemma4.attention.value_length", 64, "different sizes"),
        ("gemma4.attention.scale", 0.5, "scales attention by 0.5"),
        ("gemma4.feed_forward_length", [64, 64, 64, 64, 64, 96], "no pattern that Gemma 4 has"),
        ("gemma4.rope.dimension_count", 8, "turns 8 of 32 numbers"),
        ("gemma4.rope.scaling.type", "yarn", "scales positions"),
        ("gemma4.rope.freq_base", float("nan"), "where a finite number stands"),
        ("general.alignment", 12, "general.alignment 12"),
    ],
)
def test_other_keys(tmp_path: Path, key: str, value: Any, message: str) -> None:
    path = written(tmp_path)
    change_key(path, key, value)
    with pytest.raises(ModelFileError, match=message) as caught:
        open_gguf(path)
    assert str(path) in str(caught.value)


def test_a_vocabulary_is_no_model(tmp_path: Path) -> None:
    path = write_gguf(
        tmp_path / "x.gguf", text_only(E2B), {}, vocabulary(), with_dead=False, changes={"rope_freqs.weight": None}
    )
    with pytest.raises(ConfigError, match="holds a vocabulary and no weights"):
        open_gguf(path)


def load_tokenizer_of_pebble() -> Any:
    from gemsmith.hub.names import DEFAULT_TOKENIZER

    return load_tokenizer(DEFAULT_TOKENIZER)


def change_key(path: Path, key: str, value: Any) -> None:
    """Write the file again with one key changed, added, or (None) left out; tensors as they are."""
    reader = gguf.GGUFReader(path)
    architecture = value if key == "general.architecture" else "gemma4"
    writer = gguf.GGUFWriter(path.with_suffix(".new"), architecture)
    fields = {
        name: (field.contents(), field.types[0], field.types[-1])
        for name, field in reader.fields.items()
        if not name.startswith("GGUF.") and name not in ("general.architecture", key)
    }
    for name, (content, kind, inner) in fields.items():
        writer.add_key_value(name, content, kind, sub_type=inner if kind is gguf.GGUFValueType.ARRAY else None)
    if value is not None and key != "general.architecture":
        writer.add_key_value(key, value, gguf.GGUFValueType.get_type(value))
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, np.array(tensor.data), raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    path.with_suffix(".new").replace(path)
