"""Whole folders: what transformers writes we read, what we write transformers reads, and folders that are wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from gemsmith.config import preset, preset_names
from gemsmith.config.tensors import all_tensors
from gemsmith.errors import ModelFileError, TensorFileError, TensorMismatchError
from gemsmith.formats import TensorStream, TensorView, open_checkpoint, save_checkpoint
from gemsmith.formats.names import released_name

transformers = pytest.importorskip("transformers")
pytestmark = [
    pytest.mark.slow,  # building models with transformers takes seconds
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

TEXT = {
    "vocab_size": 64,
    "vocab_size_per_layer_input": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "global_head_dim": 16,
    "sliding_window": 8,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "num_kv_shared_layers": 0,
    "hidden_size_per_layer_input": 0,
    "final_logit_softcapping": 30.0,
}
KINDS: dict[str, dict[str, Any]] = {
    "e2b": TEXT | {"num_kv_shared_layers": 2, "hidden_size_per_layer_input": 8, "use_double_wide_mlp": True},
    "31b": TEXT | {"attention_k_eq_v": True, "num_key_value_heads": 2, "num_global_key_value_heads": 1},
    "26b": TEXT
    | {"enable_moe_block": True, "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 8}
    | {"attention_k_eq_v": True, "num_key_value_heads": 2, "num_global_key_value_heads": 1},
    "12b": TEXT | {"attention_k_eq_v": True, "num_key_value_heads": 2, "num_global_key_value_heads": 1},
}
del KINDS["12b"]["vocab_size_per_layer_input"], KINDS["12b"]["hidden_size_per_layer_input"]
VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "position_embedding_size": 64,
    "use_clipped_linears": True,
}
AUDIO = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "subsampling_conv_channels": [128, 4],  # transformers takes the first for the 128 mel bins
    "conv_kernel_size": 3,
    "output_proj_dims": 24,
    "use_clipped_linears": True,
}
UNIFIED_VISION = {"patch_size": 2, "mm_embed_dim": 16, "mm_posemb_size": 8, "output_proj_dims": 16}
UNIFIED_AUDIO = {"audio_embed_dim": 20}
Saved = Callable[..., Path]
A_NORM = "model.language_model.norm.weight"


def family(kind: str, part: str) -> Any:
    """A class of transformers: 12B has its own."""
    return getattr(transformers, f"Gemma4{'Unified' if kind == '12b' else ''}{part}")


def theirs(kind: str, media: bool, dtype: torch.dtype = torch.float32) -> Any:
    """A tiny random model of transformers."""
    torch.manual_seed(1)
    text = family(kind, "TextConfig")(**KINDS[kind])
    if not media:
        return family(kind, "ForCausalLM")(text).to(dtype)
    vision, audio = (UNIFIED_VISION, UNIFIED_AUDIO) if kind == "12b" else (VISION, AUDIO)
    config = family(kind, "Config")(text_config=text, vision_config=vision, audio_config=audio)
    return family(kind, "ForConditionalGeneration")(config).to(dtype)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Folders that transformers wrote, made once each."""
    made: dict[tuple[Any, ...], Path] = {}

    def folder(kind: str = "e2b", media: bool = False, **options: Any) -> Path:
        key = (kind, media, *options.items())
        if key not in made:
            made[key] = tmp_path_factory.mktemp("theirs")
            theirs(kind, media).save_pretrained(made[key], **options)
        return made[key]

    return folder


@pytest.fixture
def folder(saved: Saved, tmp_path: Path) -> Path:
    """A text-only folder to spoil."""
    return shutil.copytree(saved(), tmp_path / "spoilt")


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "model.safetensors")


def rewrite(folder: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    safetensors.torch.save_file(dict(tensors), folder / "model.safetensors", metadata={"format": "pt"})


def assert_same(checkpoint: Mapping[str, TensorView], model: Any) -> None:
    """Every tensor of ours is the parameter of theirs, and none of theirs is left over."""
    state = {released_name(name): tensor for name, tensor in model.state_dict().items()}
    state.pop(None, None)  # the tied head
    assert checkpoint.keys() == state.keys()
    for name, tensor in state.items():
        assert checkpoint[name].name == name
        np.testing.assert_array_equal(checkpoint[name].numpy(), tensor.float().numpy())


def load_theirs(folder: Path, kind: str, media: bool) -> Any:
    """Load with transformers, which must find every tensor and no other."""
    cls = family(kind, "ForConditionalGeneration" if media else "ForCausalLM")
    model, info = cls.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    return model


@pytest.mark.parametrize("media", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shard", ["5GB", "20KB"])
def test_round_trip_through_transformers(saved: Saved, tmp_path: Path, kind: str, media: bool, shard: str):
    source = saved(kind, media, max_shard_size=shard)
    assert (source / "model.safetensors.index.json").exists() == (shard == "20KB")
    ours = open_checkpoint(source)
    assert_same(ours, theirs(kind, media))
    limit = 20_000 if shard == "20KB" else 10**9
    save_checkpoint(tmp_path / "ours", ours.config, ours, max_shard_bytes=limit)
    assert (tmp_path / "ours" / "model.safetensors.index.json").exists() == (shard == "20KB")
    again = open_checkpoint(tmp_path / "ours")
    assert again.config == ours.config
    model = load_theirs(tmp_path / "ours", kind, media)
    assert_same(again, model)
    ids = torch.arange(12)[None] + 3
    with torch.no_grad():  # the weights are equal; their sums may differ in the last bit with where memory lies
        torch.testing.assert_close(model(ids).logits, theirs(kind, media).eval()(ids).logits, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_weights_stay_as_they_are(tmp_path: Path, dtype: torch.dtype):
    model = theirs("e2b", False, dtype)
    model.save_pretrained(tmp_path / "theirs")
    ours = open_checkpoint(tmp_path / "theirs")
    save_checkpoint(tmp_path / "ours", ours.config, ours)
    assert load_theirs(tmp_path / "ours", "e2b", False).dtype == dtype
    assert_same(open_checkpoint(tmp_path / "ours"), model)


@pytest.mark.parametrize("name", [name for name in preset_names() if name.startswith("tiny-random-")])
def test_a_preset_of_every_size_comes_back(tmp_path: Path, name: str):
    config = preset(name)
    zeros = {
        tensor: TensorView(tensor, shape, "BF16", memoryview(bytes(2 * prod(shape))))
        for tensor, shape in all_tensors(config).items()
    }
    save_checkpoint(tmp_path / name, config, zeros)
    again = open_checkpoint(tmp_path / name)
    assert again.config == replace(config, dtype="bfloat16", text=replace(config.text, dtype="bfloat16"))
    assert {tensor: view.shape for tensor, view in again.items()} == all_tensors(config)


def with_dead(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As released: layers that share K/V carry projections that nothing reads."""
    dead = {}
    for layer, head_dim in ((2, 8), (3, 16)):
        attention = f"model.layers.{layer}.self_attn"
        dead |= {f"{attention}.{name}.weight": torch.ones(head_dim, 32) for name in ("k_proj", "v_proj")}
        dead[f"{attention}.k_norm.weight"] = torch.ones(head_dim)
    return tensors | dead


LAYOUTS: dict[str, Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]] = {
    "with dead k/v": with_dead,
    "with lm_head": lambda t: t | {"lm_head.weight": t["model.embed_tokens.weight"].clone()},
    "released prefix": lambda t: {n.replace("model.", "model.language_model."): v for n, v in t.items()},
    "older prefix": lambda t: {n.replace("model.", "language_model.model."): v for n, v in t.items()},
    "older prefix with lm_head": lambda t: (
        {f"language_model.{n}": v for n, v in t.items()}
        | {"language_model.lm_head.weight": t["model.embed_tokens.weight"].clone()}
    ),
    "bare": lambda t: {n.removeprefix("model."): v for n, v in t.items()},
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_every_layout_gives_the_same_tensors(folder: Path, layout: Callable[..., Any]):
    rewrite(folder, layout(tensors_of(folder)))
    assert_same(open_checkpoint(folder), theirs("e2b", False))
    assert_same(open_checkpoint(folder / "model.safetensors"), theirs("e2b", False))


def test_older_prefixes_of_towers(saved: Saved, tmp_path: Path):
    folder = shutil.copytree(saved("e2b", True), tmp_path / "older")
    names = {name: name.removeprefix("model.") for name in tensors_of(folder)}
    names |= {n: n.replace("model.language_model.", "language_model.model.") for n in names if ".language_model." in n}
    rewrite(folder, {names[name]: tensor for name, tensor in tensors_of(folder).items()})
    assert_same(open_checkpoint(folder), theirs("e2b", True))


def test_both_prefixes_of_the_unified_embedder(saved: Saved, tmp_path: Path):
    folder = shutil.copytree(saved("12b", True), tmp_path / "nested")
    nest = {"vision_embedder.": "embed_vision.", "embed_vision.emb": "embed_vision.multimodal_embedder.emb"}
    tensors = tensors_of(folder)
    for released, nested in nest.items():
        tensors = {name.replace(f"model.{released}", f"model.{nested}"): tensor for name, tensor in tensors.items()}
    rewrite(folder, tensors)
    assert_same(open_checkpoint(folder), theirs("12b", True))


def test_what_lies_beside_the_weights(folder: Path):
    for name in ("generation_config.json", "tokenizer.json", "chat_template.jinja"):
        (folder / name).unlink(missing_ok=True)
    bare = open_checkpoint(folder)
    assert (bare.generation_config, bare.tokenizer_path, bare.chat_template) == (None, None, None)
    extras = {"tokenizer_json": "{}", "generation_config": {"top_k": 64}, "chat_template": "{{é}}"}
    save_checkpoint(folder, bare.config, bare, overwrite=True, **extras)
    full = open_checkpoint(folder)
    assert full.generation_config == {"top_k": 64} and full.chat_template == "{{é}}"
    assert full.tokenizer_path == folder / "tokenizer.json" and full.path == folder
    (folder / "chat_template.jinja").unlink()
    (folder / "tokenizer_config.json").write_text('{"chat_template": "old"}')
    assert open_checkpoint(folder).chat_template == "old"


def spoil(folder: Path, **changes: torch.Tensor | None) -> None:
    tensors = tensors_of(folder) | {name.replace("__", "."): tensor for name, tensor in changes.items()}
    rewrite(folder, {name: tensor for name, tensor in tensors.items() if tensor is not None})


def test_missing_unexpected_and_misshaped_tensors_are_all_named(folder: Path):
    spoil(folder, model__norm__weight=None, model__extra=torch.ones(1), model__layers__0__layer_scalar=torch.ones(2))
    with pytest.raises(TensorMismatchError) as caught:
        open_checkpoint(folder)
    assert caught.value.missing == (A_NORM,) and caught.value.unexpected == ("model.extra",)
    assert caught.value.misshaped == ("model.language_model.layers.0.layer_scalar [2] instead of [1]",)
    assert "1 tensor with the wrong shape: " in str(caught.value)
    assert str(folder) in str(caught.value)


def test_integers_are_no_weights(folder: Path):
    spoil(folder, model__norm__weight=torch.ones(32, dtype=torch.uint8))
    with pytest.raises(ModelFileError, match=rf"{A_NORM} .* is U8"):
        open_checkpoint(folder)


def test_a_truncated_file_is_named(folder: Path):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TensorFileError, match=r"model\.safetensors is cut short: tensor 'model\."):
        open_checkpoint(folder)


def test_a_folder_or_config_that_is_not_there(folder: Path):
    with pytest.raises(ModelFileError, match="does not exist"):
        open_checkpoint(folder / "nowhere")
    (folder / "config.json").unlink()
    with pytest.raises(ModelFileError, match=r"config\.json: No such file"):
        open_checkpoint(folder)


def test_custom_code_is_neither_run_nor_passed_on(folder: Path, tmp_path: Path):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModelForCausalLM": "evil.Model"}}))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')\n")
    checkpoint = open_checkpoint(folder)
    save_checkpoint(tmp_path / "ours", checkpoint.config, checkpoint)
    assert not (tmp_path / "canary").exists()
    assert "auto_map" not in (tmp_path / "ours" / "config.json").read_text()


def test_a_save_that_fails_leaves_nothing(folder: Path, tmp_path: Path):
    checkpoint = open_checkpoint(folder)
    short = dict(checkpoint) | {A_NORM: TensorStream((32,), "F32", [b"1"])}
    with pytest.raises(TensorFileError, match="but 1 were given"):
        save_checkpoint(tmp_path / "ours", checkpoint.config, short)
    with pytest.raises(TensorMismatchError, match="what was to be saved"):
        save_checkpoint(tmp_path / "ours", checkpoint.config, {})
    assert list(tmp_path.iterdir()) == [folder]


def test_an_existing_folder_is_kept_unless_told(folder: Path, tmp_path: Path):
    checkpoint = open_checkpoint(folder)
    with pytest.raises(ModelFileError, match="not an empty folder"):
        save_checkpoint(folder, checkpoint.config, checkpoint)
    (folder / "README.md").write_text("mine")
    save_checkpoint(folder, checkpoint.config, checkpoint, max_shard_bytes=20_000, overwrite=True)
    assert not (folder / "model.safetensors").exists() and (folder / "README.md").read_text() == "mine"
    assert_same(open_checkpoint(folder), theirs("e2b", False))
    assert [path.name for path in tmp_path.iterdir()] == ["spoilt"]
