"""Gemma 4's text model: one forward pass for training, prefill and decode.

    B batch   T query tokens   S cached tokens   R wanted rows   D hidden   L layers   P per-layer width   V vocabulary

Parameters carry the checkpoint's names, so `state_dict()` is the file without its prefix `model.language_model.`.
Sources: Gemma 4 Technical Report (arXiv 2607.02770); upstream `transformers` models/gemma4/modeling_gemma4.py.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gemsmith import ops
from gemsmith.cache.dense import DenseCache, KeyValue
from gemsmith.config import TextConfig
from gemsmith.model.embedding import ScaledEmbedding, ScaledPerLayerEmbedding, per_layer_inputs
from gemsmith.model.layer import DecoderLayer
from gemsmith.model.norm import RMSNorm
from gemsmith.model.soft import SoftRows, merged
from gemsmith.model.step import Step, make_step, take_rows


class TextModel(nn.Module):
    """The decoder and its tied head."""

    def __init__(self, text: TextConfig):
        super().__init__()
        L, D, P = text.num_hidden_layers, text.hidden_size, text.hidden_size_per_layer_input
        self.text = text
        self.embed_tokens = ScaledEmbedding(text.vocab_size, D)
        if P:
            self.embed_tokens_per_layer = ScaledPerLayerEmbedding(text.vocab_size_per_layer_input, L, P)
            self.per_layer_model_projection = nn.Linear(D, L * P, bias=False)
            self.per_layer_projection_norm = RMSNorm(P, text.rms_norm_eps)
        self.layers = nn.ModuleList(DecoderLayer(text, layer) for layer in text.layers)
        self.norm = RMSNorm(D, text.rms_norm_eps)

    def forward(self, ids_BT: Tensor, cache: DenseCache | None = None, **rows: Any) -> Tensor:
        """Logits [B, R, V] in float32 of the wanted rows; the arguments are those of `hidden`."""
        return self.logits(self.hidden(ids_BT, cache, **rows))

    def hidden(
        self,
        ids_BT: Tensor,
        cache: DenseCache | None = None,
        *,
        wanted_BR: Tensor | None = None,
        positions_BT: Tensor | None = None,
        segments_BT: Tensor | None = None,
        soft: SoftRows | None = None,
        checkpoint_layers: bool = False,
    ) -> Tensor:
        """Hidden states [B, R, D] after the final norm, of the wanted rows (all T rows when `wanted_BR` is None).

        With a `cache`, rows continue what it holds. `segments_BT` keeps packed examples apart, `positions_BT` then
        counts within each. `soft` tokens take the places of their placeholder ids. `checkpoint_layers` recomputes
        layers in backward instead of keeping their activations.
        """
        assert not (checkpoint_layers and cache is not None), "recomputing a layer would append to the cache twice"
        step = make_step(self.text, ids_BT, cache, positions_BT, segments_BT, soft)
        if soft is not None:  # in both tables a placeholder reads the row of <pad>
            ids_BT = ids_BT.masked_fill(soft.is_soft_BT, self.text.pad_token_id)
        x_BTD = self.embed_tokens(ids_BT)
        if soft is not None:
            x_BTD = merged(x_BTD, soft)
        ple_BTLP = self._per_layer_inputs(ids_BT, x_BTD)
        made: dict[int, KeyValue] = {}
        for facts, layer in zip(self.text.layers, self.layers, strict=True):
            i = facts.index
            if i == self.text.num_kv_layers and wanted_BR is not None:
                # Nothing downstream reads the other rows' K/V any more, so only the wanted rows go on.
                x_BTD, ple_BTLP, step = _rows(x_BTD, ple_BTLP, step, wanted_BR)
                wanted_BR = None
            ple_BTP = None if ple_BTLP is None else ple_BTLP[:, :, i]
            run = partial(checkpoint, layer, use_reentrant=False) if checkpoint_layers else layer
            x_BTD, made[i] = run(x_BTD, ple_BTP, step, made.get(facts.kv_source), cache)
        if cache is not None:
            cache.advance(ids_BT.shape[1])
        if wanted_BR is not None:
            x_BTD = take_rows(x_BTD, wanted_BR)
        return self.norm(x_BTD)

    def logits(self, x_BRD: Tensor) -> Tensor:
        """Hidden states to logits [B, R, V], float32, soft-capped: the embedding table read the other way round."""
        logits_BRV = nn.functional.linear(x_BRD, self.embed_tokens.weight).float()
        cap = self.text.final_logit_softcapping
        return logits_BRV if cap is None else ops.softcap(logits_BRV, cap)

    def _per_layer_inputs(self, ids_BT: Tensor, x_BTD: Tensor) -> Tensor | None:
        if not self.text.hidden_size_per_layer_input:
            return None
        return per_layer_inputs(
            self.embed_tokens_per_layer(ids_BT),
            x_BTD,
            self.per_layer_model_projection,
            self.per_layer_projection_norm,
            self.text,
        )


def _rows(x_BTD: Tensor, ple_BTLP: Tensor | None, step: Step, wanted_BR: Tensor) -> tuple[Tensor, Tensor | None, Step]:
    ple_BRLP = None if ple_BTLP is None else take_rows(ple_BTLP, wanted_BR)
    return take_rows(x_BTD, wanted_BR), ple_BRLP, step.rows(wanted_BR)
