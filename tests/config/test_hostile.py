"""Files nobody should be able to hurt us with: each a ConfigError that says what is wrong, within 100 ms."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemsmith.config import ModelConfig, preset
from gemsmith.config.cost import kv_bytes, total_parameters
from gemsmith.errors import ConfigError

LIMIT_S = 0.1


def refused(load: Callable[[], Any], match: str) -> None:
    """`load` raises ConfigError within the limit; a busy machine gets three tries."""
    for _ in range(3):
        start = time.process_time()
        with pytest.raises(ConfigError, match=match):
            load()
        if (seconds := time.process_time() - start) <= LIMIT_S:
            return
    raise AssertionError(f"took {seconds:.3f} s")


TEXT: list[tuple[dict[str, Any], str]] = [
    ({"num_hidden_layers": 1_000_000_000, "layer_types": None}, "num_hidden_layers must be int from 1 to 1024"),
    ({"num_hidden_layers": 1_000_000_000}, "num_hidden_layers must be int from 1 to 1024"),
    ({"num_hidden_layers": 1e9}, "num_hidden_layers must be int, found 1000000000.0"),
    ({"num_hidden_layers": 0, "layer_types": []}, "num_hidden_layers"),
    ({"eos_token_id": {}}, "eos_token_id must be int or a list, found {}"),
    ({"num_hidden_layers": True}, "num_hidden_layers must be int, found True"),
    ({"num_hidden_layers": None}, "num_hidden_layers is missing"),
    ({"num_hidden_layers": 34}, "layer_types lists 35 layers but num_hidden_layers is 34"),
    ({"hidden_size": -1}, "hidden_size must be int from 1"),
    ({"hidden_size": 0}, "hidden_size"),
    ({"hidden_size": "1536"}, "hidden_size must be int, found '1536'"),
    ({"hidden_size": 10**4000}, "hidden_size"),
    ({"hidden_size": [1536]}, "hidden_size"),
    ({"hidden_size": {}}, "hidden_size"),
    ({"vocab_size": 1 << 40}, "vocab_size"),
    ({"vocab_size_per_layer_input": 0}, "vocab_size_per_layer_input"),
    ({"intermediate_size": 1 << 40}, "intermediate_size"),
    ({"num_attention_heads": 0}, "num_attention_heads"),
    ({"num_attention_heads": 7, "num_key_value_heads": 2}, "num_attention_heads 7 is not a multiple of 2"),
    ({"num_key_value_heads": 0}, "num_key_value_heads"),
    ({"num_global_key_value_heads": 0}, "num_global_key_value_heads"),
    ({"num_global_key_value_heads": 3}, "not a multiple of 3"),
    ({"head_dim": 7}, "head_dim must be even"),
    ({"head_dim": -256}, "head_dim must be int from 1"),
    ({"global_head_dim": 511}, "global_head_dim must be even"),
    ({"sliding_window": 0}, "sliding_window"),
    ({"sliding_window": -5}, "sliding_window"),
    ({"max_position_embeddings": 0}, "max_position_embeddings"),
    ({"num_kv_shared_layers": 35}, "num_kv_shared_layers must be int from 0 to 34"),
    ({"num_kv_shared_layers": -1}, "num_kv_shared_layers"),
    ({"num_kv_shared_layers": 31}, "shares the K/V of an earlier full_attention layer, but none"),
    ({"rms_norm_eps": float("nan")}, "rms_norm_eps"),
    ({"rms_norm_eps": -1e-6}, "rms_norm_eps"),
    ({"rms_norm_eps": float("inf")}, "rms_norm_eps"),
    ({"final_logit_softcapping": float("nan")}, "final_logit_softcapping"),
    ({"final_logit_softcapping": 0.0}, "final_logit_softcapping"),
    ({"hidden_activation": "relu"}, "hidden_activation is 'relu'"),
    ({"attention_bias": True}, "attention_bias"),
    ({"use_bidirectional_attention": "all"}, "use_bidirectional_attention"),
    ({"model_type": "llama"}, "model_type is 'llama'"),
    ({"layer_types": "full_attention"}, "layer_types must be a list"),
    ({"layer_types": {"0": "full_attention"}}, "layer_types must be a list"),
    ({"layer_types": ["sliding_attention"] * 35}, "must be a list that ends with 'full_attention'"),
    ({"layer_types": ["linear_attention"] * 34 + ["full_attention"]}, "layer_types holds 'linear_attention'"),
    ({"layer_types": [1] * 34 + ["full_attention"]}, "layer_types"),
    ({"layer_types": ["full_attention"] * 50_000}, "layer_types lists 50000 layers"),
    ({"rope_parameters": {}}, "rope_parameters has nothing for"),
    ({"rope_parameters": []}, "rope_parameters"),
    ({"rope_parameters": {"sliding_attention": {"rope_theta": 1e4}, "full_attention": 3}}, "rope_parameters"),
    ({"rope_parameters": {k: {"rope_theta": 0} for k in ("sliding_attention", "full_attention")}}, "rope_theta"),
    ({"rope_parameters": {k: {"rope_theta": "x"} for k in ("sliding_attention", "full_attention")}}, "rope_theta"),
    (
        {
            "rope_parameters": {
                k: {"rope_theta": 1, "rope_type": "yarn"} for k in ("sliding_attention", "full_attention")
            }
        },
        "rope_type 'yarn'",
    ),
    (
        {"rope_parameters": {k: {"rope_theta": 1, "factor": 8.0} for k in ("sliding_attention", "full_attention")}},
        "factor",
    ),
    ({"enable_moe_block": True}, "num_experts must be int from 1"),
    ({"enable_moe_block": True, "num_experts": 4, "top_k_experts": 5, "moe_intermediate_size": 8}, "top_k_experts"),
    ({"enable_moe_block": True, "num_experts": 10**9, "top_k_experts": 1, "moe_intermediate_size": 8}, "num_experts"),
    ({"eos_token_id": "<eos>"}, "eos_token_id"),
    ({"per_layer_config": []}, "per_layer_config must be an object"),
    ({"per_layer_config": {"99": {"head_dim": 8}}}, "per_layer_config must name layers 0 to 34"),
    ({"per_layer_config": {"x": {}}}, "per_layer_config must name layers 0 to 34"),
    ({"per_layer_config": {"0": {"head_dim": 8}}}, r"per_layer_config\[0\]"),
    ({"per_layer_config": {"4": {"head_dim": 8}}}, "per_layer_config differs between"),
    (
        {"per_layer_config": {str(i): {"hidden_size": 8} for i in range(4, 35, 5)}},
        r"per_layer_config overrides \['hidden_size'\]",
    ),
    ({"per_layer_config": {str(i): {"num_key_value_heads": 8} for i in range(4, 35, 5)}}, "attention_k_eq_v is false"),
]


@pytest.mark.parametrize("change, match", TEXT, ids=lambda value: str(value)[:50])
def test_impossible_text(change: dict[str, Any], match: str) -> None:
    data = preset("e2b").to_json()
    data["text_config"] |= change
    refused(lambda: ModelConfig.from_json(data), match)


@pytest.mark.parametrize("key", ["hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads"])
def test_missing_keys_are_named(key: str) -> None:
    data = preset("e2b").to_json()
    del data["text_config"][key]
    refused(lambda: ModelConfig.from_json(data), f"text_config.{key} is missing")


@pytest.mark.parametrize(
    "change, match",
    [
        ({"text_config": None}, "text_config is missing"),
        ({"text_config": []}, "text_config is missing"),
        ({"model_type": "llama"}, "model_type is 'llama', which is no Gemma 4 model; known are gemma4"),
        ({"model_type": None}, "model_type is None"),
        ({"model_type": ["gemma4"]}, "model_type is"),
        ({"vision_config": "yes"}, "vision_config must be an object or null, found str"),
        ({"vision_config": {"head_dim": 6}}, "head_dim must be a multiple of 4"),
        ({"vision_config": {"head_dim": 0}}, "vision_config.head_dim"),
        ({"vision_config": {"num_key_value_heads": 4}}, "vision_config.num_key_value_heads is 4"),
        ({"vision_config": {"num_hidden_layers": 10**9}}, "vision_config.num_hidden_layers"),
        ({"vision_config": {"position_embedding_size": 1 << 40}}, "position_embedding_size"),
        ({"vision_config": {"rope_parameters": {"rope_theta": None}}}, "vision_config.rope_theta"),
        ({"vision_config": {"hidden_activation": "relu"}}, "vision_config.hidden_activation"),
        ({"audio_config": {"num_attention_heads": 7}}, "does not divide into 7 heads"),
        ({"audio_config": {"subsampling_conv_channels": [128]}}, "subsampling_conv_channels must be two sizes"),
        ({"audio_config": {"subsampling_conv_channels": [128, -1]}}, "subsampling_conv_channels"),
        ({"audio_config": {"rms_norm_eps": float("nan")}}, "audio_config.rms_norm_eps"),
        ({"audio_config": {"attention_context_left": 1}}, "attention_context_left must be int from 2"),
        ({"audio_config": {"attention_invalid_logits_value": -60.0}}, "a masked token would still be heard"),
        ({"image_token_id": -1}, "image_token_id"),
        ({"image_token_id": "258880"}, "image_token_id"),
        ({"architectures": "Gemma4"}, "architectures"),
        ({"model_type": "gemma4_unified"}, "config"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_impossible_models(change: dict[str, Any], match: str) -> None:
    refused(lambda: ModelConfig.from_json(preset("e2b").to_json() | change), match)


def test_contradictions_of_the_unified_kind() -> None:
    data = preset("12b").to_json()
    refused(lambda: ModelConfig.from_json(data | {"vision_config": {"mm_embed_dim": 8}}), "output_proj_dims is 3840")
    refused(lambda: ModelConfig.from_json(data | {"vision_config": {"model_patch_size": 50}}), "model_patch_size is 50")
    refused(lambda: ModelConfig.from_json(data | {"audio_config": {"audio_samples_per_token": 1}}), "is 1 but")


@pytest.mark.parametrize("data", [None, [], "gemma4", 4], ids=repr)
def test_a_config_is_an_object(data: Any) -> None:
    refused(lambda: ModelConfig.from_json(data), "must be a JSON object")


DEEP = 100_000
FILES: list[tuple[bytes, str]] = [
    (b"", "not valid JSON"),
    (b"{", "not valid JSON"),
    (b"\xff\xfe\xfa", "not valid JSON"),
    (b"[]", "must hold a JSON object, found list"),
    (b'{"a": NaN}', "NaN is not a JSON number"),
    (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
    (b'{"a": 1e999}', "1e999 is too large"),
    (b'{"a": ' + b"9" * 10_000 + b"}", "not valid JSON"),
    (b'{"model_type": "gemma4", "model_type": "llama"}', "the key 'model_type' stands twice"),
    (b'{"text_config": {"a": 1, "a": 2}}', "the key 'a' stands twice"),
    (b'{"a": ' + b"[" * DEEP + b"]" * DEEP + b"}", "holds more than|nested deeper"),
    (b'{"a": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", "nested deeper than 64"),
    (b'{"a": ' + b"[" * 300 + b"]" * 300 + b"}", "nested deeper than 64"),
    (b'{"a":' * 300 + b"1" + b"}" * 300, "nested deeper than 64"),
    (b'{"a": [' + b"0," * 400_000 + b"0]}", "holds more than"),
    (b'{"a": [' + b"{}," * 90_000 + b"{}]}", "model_type|holds more than"),
    (b'{"a": "' + b"x" * 1_000_000 + b'"}', "model_type is None"),
    (b'{"a": "' + b"x" * 2_000_000 + b'"}', "more than"),
]


@pytest.mark.parametrize("data, match", FILES, ids=lambda value: str(value[:40]))
def test_hostile_files(data: bytes, match: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(data)
    refused(lambda: ModelConfig.load(tmp_path), match)


def test_200_megabytes_are_not_read(tmp_path: Path) -> None:
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(200_000_000)  # a hole: no disk is spent
    refused(lambda: ModelConfig.load(tmp_path), "config.json has 200000000 bytes, more than the 1048576")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    refused(lambda: ModelConfig.load(tmp_path), f"^cannot open {tmp_path}/config.json: No such file")
    (tmp_path / "config.json").mkdir()
    refused(lambda: ModelConfig.load(tmp_path / "config.json"), "/config.json is not a regular file|cannot open")


def test_a_window_beyond_the_context_is_harmless(tmp_path: Path) -> None:
    data = preset("pebble").to_json()
    data["text_config"]["sliding_window"] = 1 << 20
    (tmp_path / "config.json").write_text(json.dumps(data))
    config = ModelConfig.load(tmp_path)
    assert kv_bytes(config, 100) == kv_bytes(preset("pebble"), 64) // 64 * 100


def test_the_largest_config_allowed_is_still_quick() -> None:
    data = preset("pebble").to_json()
    layer_types = ["sliding_attention", "full_attention"] * 512
    data["text_config"] |= {"num_hidden_layers": 1024, "layer_types": layer_types, "num_kv_shared_layers": 1}
    start = time.process_time()
    total_parameters(ModelConfig.from_json(data))
    assert time.process_time() - start < 10 * LIMIT_S


PATHS = [("text_config", name) for name in preset("26b-a4b").to_json()["text_config"]] + [
    *((name,) for name in preset("e2b").to_json()),
    *(("vision_config", name) for name in preset("e2b").to_json()["vision_config"]),
    *(("audio_config", name) for name in preset("e2b").to_json()["audio_config"]),
    *(("text_config", "rope_parameters", kind, "rope_theta") for kind in ("sliding_attention", "full_attention")),
    *(("text_config", "layer_types", index) for index in (0, -1)),
]
VALUES = st.one_of(
    st.sampled_from([None, True, "", "x", [], {}, -1, 0, 1, 7, 2**31, 2**63, 10**30, 0.5, -0.0, 1e300, -1e300]),
    st.sampled_from([[[]], {"a": {}}, ["full_attention"] * 1025, [None] * 9999, {str(i): i for i in range(999)}]),
    st.text(max_size=5),
    st.integers(),
    st.floats(),
)


def changed(data: Any, path: tuple[Any, ...], value: Any) -> None:
    """Set the value at `path`, as far as the path still leads somewhere."""
    for key in path[:-1]:
        data = data.get(key) if isinstance(data, dict) else None
    if isinstance(data, dict) or (isinstance(data, list) and data and isinstance(path[-1], int)):
        data[path[-1]] = value


@pytest.mark.slow
def test_any_values_anywhere_are_read_or_refused_at_once() -> None:
    """Drawn on the schema: up to four fields of a released config with values of any kind; the median in 100 ms."""
    seconds: list[float] = []
    counts = {"read": 0, "refused": 0}

    @settings(max_examples=600, suppress_health_check=list(HealthCheck))
    @given(name=st.sampled_from(["e2b", "12b", "26b-a4b"]), changes=st.lists(st.tuples(st.sampled_from(PATHS), VALUES)))
    def read(name: str, changes: list[tuple[tuple[Any, ...], Any]]) -> None:
        data = preset(name).to_json()
        for path, value in changes[:4]:
            changed(data, path, value)
        start = time.process_time()
        try:
            config = ModelConfig.from_json(data)
            total_parameters(config)
            counts["read"] += 1
        except ConfigError as error:
            assert len(str(error)) < 1000
            counts["refused"] += 1
        seconds.append(time.process_time() - start)

    read()
    assert statistics.median(seconds) < LIMIT_S and max(seconds) < 20 * LIMIT_S
    assert min(counts.values()) > 20, counts
