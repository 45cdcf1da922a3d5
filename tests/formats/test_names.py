"""Every way of naming Gemma 4's tensors leads to the released one."""

from __future__ import annotations

import pytest

from gemsmith.errors import ModelFileError
from gemsmith.formats.names import released_name, released_names, text_only_name

RELEASED = "model.language_model.layers.3.self_attn.q_proj.weight"


@pytest.mark.parametrize("prefix", ["model.language_model.", "language_model.model.", "language_model.", "model.", ""])
def test_text_prefixes(prefix: str):
    assert released_name(f"{prefix}layers.3.self_attn.q_proj.weight") == RELEASED
    assert released_name(f"{prefix}embed_tokens.weight") == "model.language_model.embed_tokens.weight"
    assert released_name(f"{prefix}norm.weight") == "model.language_model.norm.weight"


@pytest.mark.parametrize("prefix", ["model.", ""])
@pytest.mark.parametrize(
    "name", ["vision_tower.encoder.layers.0.mlp.up_proj.linear.weight", "embed_audio.embedding_projection.weight"]
)
def test_media_prefixes(prefix: str, name: str):
    assert released_name(prefix + name) == "model." + name


@pytest.mark.parametrize(
    "nested, released",
    [
        ("embed_vision.patch_dense.bias", "vision_embedder.patch_dense.bias"),
        ("embed_vision.pos_embedding", "vision_embedder.pos_embedding"),
        ("embed_vision.multimodal_embedder.embedding_projection.weight", "embed_vision.embedding_projection.weight"),
    ],
)
def test_both_prefixes_of_the_unified_embedder(nested: str, released: str):
    assert released_name(f"model.{nested}") == f"model.{released}" == released_name(f"model.{released}")


def test_what_has_no_released_name():
    assert released_name("lm_head.weight") is None and released_name("language_model.lm_head.weight") is None
    assert released_name("model.strange.weight") == "model.strange.weight"


def test_the_text_only_name_leads_back():
    assert text_only_name(RELEASED) == "model.layers.3.self_attn.q_proj.weight"
    assert released_name(text_only_name(RELEASED)) == RELEASED


def test_two_names_for_one_tensor():
    with pytest.raises(ModelFileError, match=r"x holds model\.language_model\.norm\.weight twice"):
        released_names(["model.norm.weight", "language_model.model.norm.weight"], "x")
