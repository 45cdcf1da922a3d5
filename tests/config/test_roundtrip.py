"""config.json in and out: nothing is lost, whatever wrote it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gemsmith.config import GenerationConfig, ModelConfig, preset, preset_names
from gemsmith.errors import ConfigError


def released(name: str) -> dict:
    """A config.json as released: with keys of the exporter that say nothing about the network."""
    data = preset(name).to_json()
    data["transformers_version"] = "5.5.0.dev0"
    data["text_config"] |= {"use_cache": True, "_name_or_path": "", "id2label": {"0": "LABEL_0"}}
    for section in ("vision_config", "audio_config"):
        if data[section]:
            data[section] |= {"global_head_dim": 64, "chunk_size_feed_forward": 0, "problem_type": None}
    data["quantization_config"] = {"bits": 4, "modules": ["a", {"b": [1, 2.5, None]}]}
    return data


@pytest.mark.parametrize("name", preset_names())
def test_round_trip(name: str, tmp_path: Path) -> None:
    config = preset(name)
    assert ModelConfig.from_json(config.to_json()) == config
    (tmp_path / "config.json").write_text(json.dumps(config.to_json()))
    assert ModelConfig.load(tmp_path) == ModelConfig.load(tmp_path / "config.json") == config


@pytest.mark.parametrize("name", ["e2b", "12b", "26b-a4b"])
def test_every_key_of_a_file_survives(name: str) -> None:
    data = released(name)
    config = ModelConfig.from_json(data)
    out = config.to_json()
    assert {key: out[key] for key in data} == data
    assert ModelConfig.from_json(out) == config
    assert config.text.layers == preset(name).text.layers


@pytest.mark.parametrize("kind, name", [("gemma4_text", "e4b"), ("gemma4_unified_text", "12b")])
def test_a_text_decoder_alone(kind: str, name: str) -> None:
    data = {"architectures": ["Gemma4ForCausalLM"], **preset(name).text.to_json(), "use_cache": True}
    assert data["model_type"] == kind
    config = ModelConfig.from_json(data)
    assert config.is_text_only and config.vision is None and config.image_token_id is None
    assert config.is_unified == (name == "12b")
    assert config.to_json() == data
    assert ModelConfig.from_json(config.to_json()) == config
    assert config.text.layers == preset(name).text.layers


def test_the_end_of_audio_has_two_names() -> None:
    data = preset("e2b").to_json()
    assert data["eoa_token_id"] == data["eoa_token_index"] == 258_883
    for gone, kept in (("eoa_token_id", "eoa_token_index"), ("eoa_token_index", "eoa_token_id")):
        older = {key: value for key, value in data.items() if key != gone} | {kept: 7}
        assert ModelConfig.from_json(older).eoa_token_id == 7
    with pytest.raises(ConfigError, match="eoa_token_id is 1 but eoa_token_index is 2"):
        ModelConfig.from_json(data | {"eoa_token_id": 1, "eoa_token_index": 2})


def test_older_and_newer_names_of_dtype() -> None:
    data = preset("pebble").to_json()
    del data["dtype"], data["text_config"]["dtype"]
    config = ModelConfig.from_json(data | {"torch_dtype": "float16"})
    assert config.dtype == config.text.dtype == "float16"


def test_silence_means_what_it_means_upstream() -> None:
    sizes = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    short = {key: value for key, value in preset("31b").text.to_json().items() if key in (*sizes, "model_type")}
    text = ModelConfig.from_json(short).text
    assert [layer.index for layer in text.layers if not layer.is_sliding] == list(range(5, 60, 6))
    assert (text.hidden_size_per_layer_input, text.global_head_dim, text.final_logit_softcapping) == (256, 512, None)
    text = ModelConfig.from_json(short | {"model_type": "gemma4_unified_text"}).text
    assert (text.hidden_size_per_layer_input, text.sliding_window, text.use_bidirectional_attention) == (
        *(0, 1024),
        "vision",
    )


def test_a_config_keeps_nothing_of_its_callers() -> None:
    data = released("e2b")
    config = ModelConfig.from_json(data)
    data["text_config"]["rope_parameters"]["full_attention"]["rope_theta"] = 1.0
    data["quantization_config"]["bits"] = 8
    config.to_json()["quantization_config"]["modules"].clear()
    assert config == ModelConfig.from_json(released("e2b"))


RELEASED_GENERATION = {
    "bos_token_id": 2,
    "do_sample": True,
    "eos_token_id": [1, 106, 50],
    "pad_token_id": 0,
    "temperature": 1.0,
    "top_k": 64,
    "top_p": 0.95,
    "transformers_version": "5.5.0.dev0",
}


@pytest.mark.parametrize(
    "data",
    [
        RELEASED_GENERATION,
        RELEASED_GENERATION | {"suppress_tokens": [258_883, 258_882], "eos_token_id": [1]},
        RELEASED_GENERATION | {"min_p": 1.0, "repetition_penalty": 1.1},
    ],
)
def test_generation_round_trip(data: dict, tmp_path: Path) -> None:
    (tmp_path / "generation_config.json").write_text(json.dumps(data))
    config = GenerationConfig.load(tmp_path)
    assert config == GenerationConfig.from_json(data) == GenerationConfig.from_json(config.to_json())
    assert config.to_json() == data


def test_generation_defaults() -> None:
    chat = GenerationConfig.default()
    assert (chat.temperature, chat.top_p, chat.top_k, chat.eos_token_ids) == (1.0, 0.95, 64, (1, 106, 50))
    assert GenerationConfig.default(base=True).eos_token_ids == (1,)
    assert GenerationConfig.default(preset("12b")).suppress_tokens == (258_883, 258_882)
    assert GenerationConfig.from_json({"eos_token_id": 1}).eos_token_ids == (1,)
    assert GenerationConfig.from_json({}) == chat


@pytest.mark.parametrize(
    "data, key",
    [
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": "64"}, "top_k"),
        ({"min_p": -0.1}, "min_p"),
        ({"repetition_penalty": 0.0}, "repetition_penalty"),
        ({"eos_token_id": ["<turn|>"]}, "eos_token_ids"),
        ({"eos_token_id": True}, "eos_token_ids"),
        ({"suppress_tokens": [-1]}, "suppress_tokens"),
    ],
)
def test_impossible_generation_values(data: dict, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        GenerationConfig.from_json(data)
