"""One table of parameter names: whatever a file calls a tensor, gemsmith calls it as the released files do.

    released (Gemma4ForConditionalGeneration)   model.language_model.layers.0.…   model.vision_tower.…
    older multimodal prefixes                   language_model.model.layers.0.…   vision_tower.…
    text only (Gemma4ForCausalLM)               model.layers.0.…
    a bare backbone (Gemma4TextModel)           layers.0.…
    12B inside transformers >= 5.23             model.embed_vision.patch_dense.…  (released: model.vision_embedder.…)

The head is tied to the embedding in every Gemma 4, so a separate `lm_head.weight` has no name here.
Sources: `modeling_gemma4.py` and `conversion_mapping.py` ("gemma4_unified") of transformers 5.23.
"""

from __future__ import annotations

from collections.abc import Iterable

from gemsmith.config.tensors import TEXT_PREFIX
from gemsmith.errors import ModelFileError

TEXT_ONLY_PREFIX = "model."

_TEXT_PREFIXES = ("model.language_model.", "language_model.model.", "language_model.", "model.", "")
_TEXT_ROOTS = {
    "embed_tokens",
    "embed_tokens_per_layer",
    "per_layer_model_projection",
    "per_layer_projection_norm",
    "layers",
    "norm",
}
_MEDIA_PREFIXES = ("model.", "")
_MEDIA_ROOTS = {"vision_tower", "vision_embedder", "embed_vision", "audio_tower", "embed_audio"}
_UNIFIED_PARTS = ("patch_ln1", "patch_dense", "patch_ln2", "pos_embedding", "pos_norm")


def released_name(name: str) -> str | None:
    """The released name of a tensor; None for a copy of the tied head; an unknown name as it came."""
    if name in ("lm_head.weight", "language_model.lm_head.weight", "model.lm_head.weight"):
        return None
    for prefix in _TEXT_PREFIXES:
        if name.startswith(prefix) and _root(name[len(prefix) :]) in _TEXT_ROOTS:
            return TEXT_PREFIX + name[len(prefix) :]
    for prefix in _MEDIA_PREFIXES:
        if name.startswith(prefix) and _root(name[len(prefix) :]) in _MEDIA_ROOTS:
            return "model." + _released_embedder(name[len(prefix) :])
    return name


def text_only_name(name: str) -> str:
    """What Gemma4ForCausalLM calls the text tensor with this released name."""
    assert name.startswith(TEXT_PREFIX), f"{name} is not a released text tensor"
    return TEXT_ONLY_PREFIX + name.removeprefix(TEXT_PREFIX)


def released_names(names: Iterable[str], source: str) -> dict[str, str]:
    """Released name -> name in the file, without tied heads; ModelFileError when two names mean one tensor."""
    table: dict[str, str] = {}
    for name in names:
        released = released_name(name)
        if released is None:
            continue
        if released in table:
            raise ModelFileError(
                f"{source} holds {released} twice, as {table[released]} and as {name}; keep one of them"
            )
        table[released] = name
    return table


def _root(name: str) -> str:
    return name.split(".", 1)[0]


def _released_embedder(name: str) -> str:
    """Undo the nesting that newer code gives to 12B's picture embedder."""
    name = name.replace("embed_vision.multimodal_embedder.", "embed_vision.", 1)
    for part in _UNIFIED_PARTS:
        if name.startswith(f"embed_vision.{part}"):
            return name.replace("embed_vision.", "vision_embedder.", 1)
    return name
