"""`gemsmith.load`: checkpoints with and without what may lie beside the weights, and settings that cannot be."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gemsmith
from gemsmith.config import ModelConfig, preset
from gemsmith.errors import GemsmithError, ModelFileError, ModelNotFoundError, RequestError
from gemsmith.formats import TensorView
from gemsmith.formats.save import save_checkpoint
from gemsmith.hub.names import DEFAULT_TOKENIZER
from gemsmith.ops import buffers

torch = pytest.importorskip("torch")


@cache
def config(vocab_size: int = 4096) -> ModelConfig:
    text = preset("tiny-random-e2b").text
    text = replace(text, vocab_size=vocab_size, vocab_size_per_layer_input=vocab_size, model_type="gemma4_text")
    return ModelConfig(text=text)


def save(folder: Path, *, vocab_size: int = 4096, **beside: Any) -> Path:
    """A checkpoint with the weights of `tiny-random-e2b`."""
    from gemsmith.model.init import random_text_model

    views = {}
    for name, tensor in random_text_model(config(vocab_size).text, seed=0).state_dict().items():
        name = f"model.language_model.{name}"
        views[name] = TensorView(name, tuple(tensor.shape), "F32", buffers.to_buffer(tensor))
    save_checkpoint(folder, config(vocab_size), views, **beside)
    return folder


def test_a_folder_without_a_tokenizer_serves_for_logits_alone(tmp_path: Path, tiny: gemsmith.Model) -> None:
    model = gemsmith.load(save(tmp_path / "bare"), device="cpu")
    ids = [2, 300, 301, 302]
    np.testing.assert_array_equal(model.logits(ids), tiny.logits(ids))
    for call in (model.chat, model.stream, model.complete, model.stream_complete, model.render):
        with pytest.raises(ModelFileError, match=r"no tokenizer.json, so it can only compute logits"):
            call("hi")


def test_a_whole_folder_says_what_the_stand_in_says(tmp_path: Path, tiny: gemsmith.Model) -> None:
    model = gemsmith.load(str(save(tmp_path / "whole", tokenizer_json=DEFAULT_TOKENIZER.read_text())), device="cpu")
    assert model.chat("hello", seed=1, max_tokens=12) == tiny.chat("hello", seed=1, max_tokens=12)


def test_defaults_and_stop_ids_come_from_the_folder(tmp_path: Path) -> None:
    beside = {"do_sample": False, "top_k": 3, "eos_token_id": 7, "suppress_tokens": [9]}
    model = gemsmith.load(save(tmp_path / "own", generation_config=beside), device="cpu")
    found = model.generation
    assert (found.do_sample, found.top_k, found.eos_token_ids, found.suppress_tokens) == (False, 3, (7,), (9,))


@pytest.mark.filterwarnings("ignore:.*a chat template we do not know")
@pytest.mark.parametrize("template, stop_ids", [("{{ messages }}", (1, 106, 50)), (None, (1,))], ids=["chat", "base"])
def test_without_a_generation_config_only_a_chat_model_has_turns_to_end(
    tmp_path: Path, template: str | None, stop_ids: tuple[int, ...]
) -> None:
    found = gemsmith.load(save(tmp_path / "none", chat_template=template), device="cpu").generation
    assert (found.temperature, found.top_p, found.top_k, found.eos_token_ids) == (1.0, 0.95, 64, stop_ids)


def test_12b_is_kept_from_writing_the_marks_of_media() -> None:
    model = gemsmith.load("tiny-random-12b", device="cpu")
    assert set(model.generation.suppress_tokens) == {model.config.eoi_token_id, model.config.eoa_token_id}
    reply = model.chat("hi", max_tokens=5, temperature=0, logit_bias={model.config.eoi_token_id: 100})
    assert reply.finish_reason == "length"


def test_a_tokenizer_larger_than_the_table_belongs_to_another_model(tmp_path: Path) -> None:
    folder = save(tmp_path / "small", vocab_size=4000, tokenizer_json=DEFAULT_TOKENIZER.read_text())
    with pytest.raises(ModelFileError, match=r"tokenizer of .* has 4096 tokens but the model's table only 4000"):
        gemsmith.load(folder)


def test_rows_that_no_token_stands_behind_are_never_written(tmp_path: Path) -> None:
    folder = save(tmp_path / "wide", vocab_size=5000, tokenizer_json=DEFAULT_TOKENIZER.read_text())
    model = gemsmith.load(folder, device="cpu")
    reply = model.chat("hi", max_tokens=50, seed=1, top_k=0, top_p=1.0, temperature=100.0, logprobs=True)
    assert all(token.id < 4096 for token in reply.logprobs or ())


@pytest.mark.slow
def test_ids_without_a_row_in_the_per_layer_table_are_neither_read_nor_written() -> None:
    model = copy(gemsmith.load("tiny-random-e2b", device="cpu"))
    model.config = replace(model.config, text=replace(model.config.text, vocab_size_per_layer_input=300))
    with pytest.raises(RequestError, match="token ids from 0 to 299, found 300"):
        model.logits([2, 300])
    drawn = model._tokens([2], model._options({"max_tokens": 40, "seed": 1, "top_k": 0, "temperature": 100.0}))
    assert all(token.id < 300 for token in drawn)


def test_a_foreign_template_is_a_warning(tmp_path: Path) -> None:
    folder = save(tmp_path / "foreign", chat_template="{{ messages }}")
    with pytest.warns(UserWarning, match="a chat template we do not know"):
        gemsmith.load(folder, device="cpu")


def test_a_config_alone_has_no_weights(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config().to_json()))
    with pytest.raises(ModelFileError, match="describes a model but holds no weights"):
        gemsmith.load(file)


def test_a_name_that_leads_nowhere() -> None:
    with pytest.raises(ModelNotFoundError, match=r"no model 'gemma-5'; known names are .*tiny-random-e2b"):
        gemsmith.load("gemma-5")


@pytest.mark.parametrize("max_context", [0, -1, 2049, True, 1.0, "1k"])
def test_impossible_contexts(max_context: Any) -> None:
    with pytest.raises(GemsmithError, match=r"max_context must be from 1 to the 2048 tokens .* found"):
        gemsmith.load("tiny-random-e2b", max_context=max_context)


def test_max_context_is_kept() -> None:
    model = gemsmith.load("tiny-random-e2b", max_context=20, device="cpu")
    reply = model.chat("hi", temperature=0)
    assert reply.usage is not None and reply.usage.total_tokens == 20 and reply.finish_reason == "length"
