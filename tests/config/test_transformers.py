"""The other opinion: config files and tensor tables of `transformers`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gemsmith.config import ModelConfig, TextConfig, preset, preset_names
from gemsmith.config.tensors import all_tensors

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

pytestmark = pytest.mark.slow

# resolved layer by layer by `transformers`, and compared as such; its vision RoPE has another name
PER_LAYER = {"head_dim", "num_key_value_heads", "global_head_dim", "num_global_key_value_heads", "rope_parameters"}
NAMES = [name for name in preset_names() if name != "tiny-random"]


def their_config(config: ModelConfig) -> Any:
    """Our config.json, read by `transformers`."""
    data = config.to_json()
    return transformers.AutoConfig.for_model(data.pop("model_type"), **data)


def their_layers(text: Any) -> list[tuple[int, int]]:
    """Head dim and key/value heads, as `transformers` resolves them layer by layer."""
    layers = [text.per_layer_config[index] for index in range(text.num_hidden_layers)]
    return [(layer.head_dim, layer.num_key_value_heads) for layer in layers]


def our_layers(text: TextConfig) -> list[tuple[int, int]]:
    return [(layer.head_dim, layer.num_key_value_heads) for layer in text.layers]


@pytest.mark.parametrize("name", NAMES)
def test_transformers_reads_what_we_write(name: str) -> None:
    config = preset(name)
    theirs = their_config(config)
    assert their_layers(theirs.text_config) == our_layers(config.text)
    for section in ("text", "vision", "audio"):
        ours, section_config = getattr(config, section), getattr(theirs, f"{section}_config")
        assert (ours is None) == (section_config is None)
        data = {} if ours is None else ours.to_json()
        for key in data.keys() - PER_LAYER:
            assert section_config.to_dict()[key] == data[key], key
    assert theirs.text_config.rope_parameters == config.to_json()["text_config"]["rope_parameters"]
    if theirs.vision_config is not None and not config.is_unified:
        assert theirs.vision_config.rope_parameters == {"rope_theta": 100.0, "rope_type": "axial"}


@pytest.mark.parametrize("name", NAMES)
def test_we_read_what_transformers_writes(name: str, tmp_path: Path) -> None:
    config = preset(name)
    theirs = their_config(config)
    theirs.save_pretrained(tmp_path)
    assert "per_layer_config" in (tmp_path / "config.json").read_text()
    for found in (ModelConfig.load(tmp_path), ModelConfig.from_json(theirs.to_dict())):
        assert found.text.layers == config.text.layers
        assert all_tensors(found, include_dead=True) == all_tensors(config, include_dead=True)
        written = found.to_json()
        assert "per_layer_config" not in written["text_config"]
        assert written["text_config"]["global_head_dim"] == config.text.global_head_dim
        assert ModelConfig.from_json(written) == found
        known = config.text.to_json()
        assert {key: written["text_config"][key] for key in known} == known


@pytest.mark.parametrize("global_head_dim", [16, 32])
def test_a_text_config_of_transformers(global_head_dim: int, tmp_path: Path) -> None:
    theirs = transformers.Gemma4TextConfig(
        num_hidden_layers=12, head_dim=16, global_head_dim=global_head_dim, final_logit_softcapping=None
    )
    theirs.save_pretrained(tmp_path)
    text = ModelConfig.load(tmp_path).text
    assert our_layers(text) == their_layers(theirs)
    assert text.final_logit_softcapping is None and text.hidden_size_per_layer_input == 256
    (tmp_path / "config.json").write_text(json.dumps(ModelConfig.load(tmp_path).to_json()))
    again = transformers.AutoConfig.from_pretrained(tmp_path)
    assert their_layers(again) == their_layers(theirs) and isinstance(again, transformers.Gemma4TextConfig)


@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_is_one_of_transformers(name: str) -> None:
    """Names and shapes of the whole model, built without memory."""
    config = preset(name)
    theirs = their_config(config)
    kind = "Unified" if config.is_unified else ""
    with torch.device("meta"):
        model = getattr(transformers, f"Gemma4{kind}ForConditionalGeneration")(theirs)
    shapes = {in_released_words(name): tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert shapes.pop("lm_head.weight") == (config.text.vocab_size, config.text.hidden_size)  # tied
    assert shapes == all_tensors(config)


def in_released_words(name: str) -> str:
    """`transformers` nests 12B's embedder, and renames when it loads and saves."""
    name = re.sub(
        r"embed_vision\.(patch_ln1|patch_dense|patch_ln2|pos_embedding|pos_norm)", r"vision_embedder.\1", name
    )
    return name.replace("embed_vision.multimodal_embedder.", "embed_vision.")
