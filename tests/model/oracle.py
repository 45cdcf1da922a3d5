"""The other opinion: `transformers`' Gemma 4, built from our config, filled at random, saved in the released format."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gemsmith.config import ModelConfig
from gemsmith.formats import open_checkpoint
from gemsmith.model.text import TextModel
from gemsmith.runtime.torch import load_text_model


def reference_model(config: ModelConfig, seed: int, folder: Path) -> Any:
    """A `transformers` model with random weights whose logits spread, saved in `folder` and loaded back."""
    from transformers import AutoConfig, AutoModelForImageTextToText

    torch.manual_seed(seed)
    model = AutoModelForImageTextToText.from_config(AutoConfig.for_model(**config.to_json()))
    with torch.no_grad():
        for parameter in [*model.parameters(), *(b for n, b in model.named_buffers() if n.endswith("layer_scalar"))]:
            if parameter.ndim > 1:
                parameter.normal_(0, parameter.shape[-1] ** -0.5)
            else:
                parameter.normal_(1, 0.2)
        _fill_measured(model)
    model.float().save_pretrained(folder)
    return AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()


def our_model(folder: Path) -> TextModel:
    """The same file, through our own loading."""
    checkpoint = open_checkpoint(folder)
    return load_text_model(checkpoint.config.text, checkpoint, dtype="float32", device="cpu")


@torch.inference_mode()
def reference_logits(model: Any, ids: Tensor, attention: str = "eager") -> Tensor:
    """All logits in one shot."""
    with _attention(model, attention):
        logits: Tensor = model(input_ids=ids, use_cache=False).logits
    return logits


@torch.inference_mode()
def reference_logits_in_chunks(model: Any, ids: Tensor, sizes: list[int]) -> Tensor:
    """The same logits, chunk after chunk through the reference's own cache."""
    cache, parts = None, []
    for chunk in ids.split(sizes, dim=1):
        out = model(input_ids=chunk, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        parts.append(out.logits)
    return torch.cat(parts, dim=1)


def _fill_measured(model: Any) -> None:
    """The senses' tensors that are no weights: bounds that about every tenth number passes, and statistics."""
    for name, buffer in model.named_buffers():
        if name.endswith(("input_min", "output_min")):
            buffer.uniform_(-2.0, -1.2)
        elif name.endswith(("input_max", "output_max")):
            buffer.uniform_(1.2, 2.0)
        elif name.endswith("std_bias"):
            buffer.normal_(0, 0.5)
        elif name.endswith("std_scale"):
            buffer.uniform_(0.5, 2.0)


@contextlib.contextmanager
def _attention(model: Any, implementation: str) -> Any:
    language = model.model.language_model  # the audio tower knows no other than its own
    before = language.config._attn_implementation
    language.set_attn_implementation(implementation)
    yield
    language.set_attn_implementation(before)
