"""A config and packed weights to a program: the short list of fused steps that the native engine walks for every batch.

Read top to bottom, `lower` is the forward pass of `gemsmith.model.text` once more, in the engine's words: *buffers* are
float rows, *lanes* are rows made ready for a matrix (8-bit codes with a scale per 32, or floats, as the matrix wants).
What saves time is visible here: prompts go through the layers that make K/V only, the last of these makes only K and V
for rows nobody reads (`select` drops them), gates are multiplied and quantised while they are near, norms are fused
with the residual before them. `str(program)` prints the list.

    D hidden   N query heads   K key/value heads   H head dim   F mlp width   P per-layer width   E experts
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gemsmith.config import LayerConfig, TextConfig
from gemsmith.config.tensors import TEXT_PREFIX
from gemsmith.files import MappedFile
from gemsmith.formats.pack import PackedView

# As native/engine/program.h numbers them.
OPS = (
    "embed", "lane", "pick_lane", "norm", "matmul", "per_layer", "keys", "queries", "select", "attend", "merge",
    "lane_of", "residual", "gated_up", "per_layer_gate", "route", "gather", "experts_up", "experts_down",
    "experts_residual", "output",
)  # fmt: skip
FLOATS, CODES = 1, 2
BLOCK = 32

Step = dict[str, Any]


@dataclass
class Program:
    """Steps, and how wide the memory is that they work in. `native()` is what the extension takes."""

    text: TextConfig
    tensors: Mapping[str, PackedView]
    embedding_scale: float
    per_layer_scale: float
    steps: list[Step] = field(default_factory=list)
    buffers: dict[str, int] = field(default_factory=dict)  # name -> floats a row
    lanes: dict[str, list[int]] = field(default_factory=dict)  # name -> [values a row, forms]
    layers: list[dict[str, Any]] = field(default_factory=list)

    def native(self) -> dict[str, Any]:
        """Dictionaries and arrays for `_native.Engine`; arrays stay mapped as long as this lives."""
        text, embedding = self.text, self.tensors[TEXT_PREFIX + "embed_tokens.weight"]
        out: dict[str, Any] = {
            "dims": self._dims(),
            "layers": self.layers,
            "frequencies": [_frequencies(text, sliding) for sliding in (False, True)],
            "steps": [self._native_step(step) for step in self.steps],
            "embedding": _matrix(embedding),
            "buffer_widths": list(self.buffers.values()),
            "lane_widths": [width for width, _ in self.lanes.values()],
            "lane_forms": [forms for _, forms in self.lanes.values()],
            "buffer_per_expert": [self._buffer("experts")] if text.enable_moe_block else [],
            "lane_per_expert": [self._lane("chosen"), self._lane("expert_mlp")] if text.enable_moe_block else [],
            "x": self._buffer("x"),
            "attended": self._buffer("attended"),
            "head_forms": _forms(embedding),
        }
        if text.hidden_size_per_layer_input:
            out["tokens"] = self._buffer("tokens")
            out["table"] = _table(self.tensors[TEXT_PREFIX + "embed_tokens_per_layer.weight"])
        return out

    def __str__(self) -> str:
        return "\n".join(_line(step) for step in self.steps)

    def add(self, op: str, **fields: Any) -> None:
        """One more step; a lane that it makes gets the forms it is asked for."""
        if "forms" in fields:
            self.lanes[fields["out"]][1] |= fields["forms"]
        self.steps.append({"op": op, **fields})

    def _buffer(self, name: str) -> int:
        return list(self.buffers).index(name)

    def _lane(self, name: str) -> int:
        return list(self.lanes).index(name)

    def _dims(self) -> dict[str, Any]:
        text = self.text
        return {
            "vocab_size": text.vocab_size,
            "hidden_size": text.hidden_size,
            "num_layers": text.num_hidden_layers,
            "num_heads": text.num_attention_heads,
            "sliding_window": text.sliding_window,
            "per_layer_width": text.hidden_size_per_layer_input,
            "num_experts": text.num_experts or 0 if text.enable_moe_block else 0,
            "num_active_experts": text.top_k_experts or 0 if text.enable_moe_block else 0,
            "eps": text.rms_norm_eps,
            "softcap": text.final_logit_softcapping or 0.0,
            "embedding_scale": self.embedding_scale,
            "per_layer_scale": self.per_layer_scale,
        }

    def _native_step(self, step: Step) -> Step:
        """Names to numbers: buffers and lanes have their own."""
        out = {**step, "op": OPS.index(step["op"])}
        for key in ("in", "out", "first"):
            name = out.pop(key + "_", out.get(key))
            if isinstance(name, str):
                name = self._lane(name) if name in self.lanes else self._buffer(name)
            if name is not None:
                out[key] = name
        if "matrices" in out:
            out["matrices"] = [_matrix(**m) if isinstance(m, dict) else _matrix(m) for m in out["matrices"]]
        return out


def lower(text: TextConfig, tensors: Mapping[str, PackedView], *, dtype: str | None = None) -> Program:
    """The program of a model. Scales of looked-up rows are rounded to `dtype`: unless given, the checkpoint's own."""
    dtype = dtype or text.dtype
    program = Program(
        text,
        tensors,
        _rounded(math.sqrt(text.hidden_size), dtype),
        _rounded(math.sqrt(text.hidden_size_per_layer_input), dtype),
    )
    _Lowering(program).run()
    return program


class _Lowering:
    """The forward pass, written down."""

    def __init__(self, program: Program):
        self.program, self.text, self.tensors = program, program.text, program.tensors
        text = program.text
        D, N, P = text.hidden_size, text.num_attention_heads, text.hidden_size_per_layer_input
        widest = max(layer.head_dim for layer in text.layers)
        mlp = max(layer.intermediate_size for layer in text.layers)
        program.buffers = {"x": D, "qkv": 0, "attended": N * widest, "y": D}
        program.lanes = {"hidden": [D, 0], "heads": [N * widest, 0], "mlp": [mlp, 0]}
        if P:
            program.buffers |= {"tokens": text.num_hidden_layers * P, "early": 0, "late": 0}
            program.lanes |= {"gate": [P, 0], "picked": [D, 0]}
        if text.enable_moe_block:
            assert text.num_experts and text.moe_intermediate_size
            program.buffers |= {"scores": text.num_experts, "experts": D}
            program.lanes |= {
                "router": [D, 0],
                "hidden_2": [D, 0],
                "chosen": [D, 0],
                "expert_mlp": [text.moe_intermediate_size, 0],
            }
        self.last_maker = text.num_kv_layers - 1

    def run(self) -> None:
        add, text = self.program.add, self.text
        add("embed")
        if text.hidden_size_per_layer_input:
            self._per_layer_inputs()
        first = text.layers[0]
        add("norm", vectors=[self._norm(0, "input_layernorm")], out="hidden", forms=self._forms_of_attention(first))
        for layer in text.layers:
            self.program.layers.append(self._facts(layer))
            self._attention(layer)
            self._feed_forward(layer)
        add("output", vectors=[self._vector("norm.weight")])

    def _per_layer_inputs(self) -> None:
        """Of all rows for the layers they go through; of the wanted rows for the rest."""
        add, text, P = self.program.add, self.text, self.text.hidden_size_per_layer_input
        context = self.tensors[TEXT_PREFIX + "per_layer_model_projection.weight"]
        norm = [self._vector("per_layer_projection_norm.weight")]
        forms, middle, end = _forms(context), self.last_maker * P, text.num_hidden_layers * P
        base = middle // BLOCK * BLOCK
        self.program.buffers |= {"early": max(_blocks(middle), 1) * BLOCK, "late": _blocks(end) * BLOCK - base}
        add("lane", out="hidden", end=text.hidden_size, forms=forms)
        self.program.lanes["picked"][1] |= forms
        add("pick_lane", in_="hidden", out="picked", picked=True)
        scale = text.hidden_size**-0.5
        if middle:
            add("matmul", in_="hidden", out="early", matrices=[{"view": context, "end_block": _blocks(middle)}])
            add("per_layer", out="early", vectors=norm, first=0, end=self.last_maker, scalar=scale)
        late = {"view": context, "first_block": base // BLOCK, "end_block": _blocks(end)}
        add("matmul", in_="picked", out="late", matrices=[late], picked=True)
        layers = {"first": self.last_maker, "end": text.num_hidden_layers}
        add("per_layer", out="late", vectors=norm, **layers, column=base, scalar=scale, picked=True)

    def _facts(self, layer: LayerConfig) -> dict[str, Any]:
        """What the engine must know of a layer; keys and values stand behind the queries in `qkv`."""
        heads = self.text.num_attention_heads * layer.head_dim
        key = _blocks(heads) * BLOCK
        value = key + _blocks(layer.num_key_value_heads * layer.head_dim) * BLOCK
        width = value + _blocks(layer.num_key_value_heads * layer.head_dim) * BLOCK
        self.program.buffers["qkv"] = max(self.program.buffers["qkv"], width)
        return {
            "is_sliding": layer.is_sliding,
            "k_eq_v": layer.k_eq_v,
            "makes_kv": layer.makes_kv,
            "head_dim": layer.head_dim,
            "num_kv_heads": layer.num_key_value_heads,
            "kv_source": layer.kv_source,
            "num_rotated_pairs": layer.num_rotated_pairs,
            "key_column": key,
            "value_column": value,
        }

    def _attention(self, layer: LayerConfig) -> None:
        add, i, facts = self.program.add, layer.index, self.program.layers[layer.index]
        query = {"view": self._of(i, "self_attn.q_proj.weight")}
        keys_and_values = []
        if layer.makes_kv:
            keys_and_values = [{"view": self._of(i, "self_attn.k_proj.weight"), "column": facts["key_column"]}]
            if not layer.k_eq_v:
                keys_and_values.append(
                    {"view": self._of(i, "self_attn.v_proj.weight"), "column": facts["value_column"]}
                )
        is_last = i == self.last_maker
        first = keys_and_values if is_last else [query, *keys_and_values]
        add("matmul", layer=i, in_="hidden", out="qkv", matrices=first)
        if layer.makes_kv:
            add("keys", layer=i, in_="qkv", vectors=[self._norm(i, "self_attn.k_norm")])
        if is_last:  # nobody reads the other rows any more
            add("select", in_="hidden")
            add("matmul", layer=i, in_="hidden", out="qkv", matrices=[query])
        add("queries", layer=i, in_="qkv", vectors=[self._norm(i, "self_attn.q_norm")])
        add("attend", layer=i, in_="qkv")
        add("merge", layer=i, in_="qkv")
        out = self._of(i, "self_attn.o_proj.weight")
        add(
            "lane_of",
            layer=i,
            in_="attended",
            out="heads",
            end=self.text.num_attention_heads * layer.head_dim,
            forms=_forms(out),
        )
        add("matmul", layer=i, in_="heads", out="y", matrices=[{"view": out}])
        norms = [self._norm(i, "post_attention_layernorm"), self._norm(i, "pre_feedforward_layernorm")]
        add(
            "residual",
            layer=i,
            in_="y",
            vectors=norms,
            out="hidden",
            forms=_forms(self._of(i, "mlp.gate_up_proj.weight")),
        )

    def _feed_forward(self, layer: LayerConfig) -> None:
        add, i, text = self.program.add, layer.index, self.text
        gate_up, down = self._of(i, "mlp.gate_up_proj.weight"), self._of(i, "mlp.down_proj.weight")
        if text.enable_moe_block:
            self._route(i)
        add("gated_up", layer=i, in_="hidden", out="mlp", matrices=[{"view": gate_up}], forms=_forms(down))
        add("matmul", layer=i, in_="mlp", out="y", matrices=[{"view": down}])
        norm = self._norm(i, "post_feedforward_layernorm")
        if text.enable_moe_block:
            self._experts(i)
            norms = [self._norm(i, "post_feedforward_layernorm_1"), self._norm(i, "post_feedforward_layernorm_2"), norm]
            add("experts_residual", layer=i, in_="y", first_="experts", **self._to_next_layer(i, norms))
        elif text.hidden_size_per_layer_input:
            gate, up = self._of(i, "per_layer_input_gate.weight"), self._of(i, "per_layer_projection.weight")
            P, is_late = text.hidden_size_per_layer_input, i >= self.last_maker
            add("residual", layer=i, in_="y", vectors=[norm, None], out="hidden", forms=_forms(gate))
            column = i * P - (self.last_maker * P // BLOCK * BLOCK if is_late else 0)
            add("per_layer_gate", layer=i, in_="hidden", out="gate", matrices=[{"view": gate}], forms=_forms(up),
                first_="late" if is_late else "early", end=column)  # fmt: skip
            add("matmul", layer=i, in_="gate", out="y", matrices=[{"view": up}])
            add("residual", layer=i, in_="y", **self._to_next_layer(i, [self._norm(i, "post_per_layer_input_norm")]))
        else:
            add("residual", layer=i, in_="y", **self._to_next_layer(i, [norm]))

    def _route(self, i: int) -> None:
        """Experts are chosen from the residual itself, and read it through a norm of their own."""
        add, D = self.program.add, self.text.hidden_size
        scale = (self._vector_of(i, "router.scale") * np.float32(D**-0.5)).astype(np.float32)
        experts, scores = self._of(i, "experts.gate_up_proj"), self._of(i, "router.proj.weight")
        add("norm", layer=i, vectors=[scale], out="router", forms=_forms(scores))
        add("matmul", layer=i, in_="router", out="scores", matrices=[{"view": scores}])
        add(
            "norm",
            layer=i,
            vectors=[self._norm(i, "pre_feedforward_layernorm_2")],
            out="hidden_2",
            forms=_forms(experts),
        )
        add("route", layer=i, in_="scores", vectors=[self._vector_of(i, "router.per_expert_scale")])
        add("gather", layer=i, in_="hidden_2", out="chosen", forms=_forms(experts))

    def _experts(self, i: int) -> None:
        add = self.program.add
        up, down = self._of(i, "experts.gate_up_proj"), self._of(i, "experts.down_proj")
        add("experts_up", layer=i, in_="chosen", out="expert_mlp", matrices=[{"view": up}], forms=_forms(down))
        add("experts_down", layer=i, in_="expert_mlp", out="experts", matrices=[{"view": down}])

    def _to_next_layer(self, i: int, norms: list[Any]) -> Step:
        """The layer's scalar, and the next layer's input; behind the last layer `output` reads x itself."""
        scalar = float(self._vector_of(i, "layer_scalar")[0])
        if i + 1 == self.text.num_hidden_layers:
            return {"vectors": norms, "scalar": scalar}
        following = self.text.layers[i + 1]
        vectors = [*norms, self._norm(i + 1, "input_layernorm")]
        return {"vectors": vectors, "scalar": scalar, "out": "hidden", "forms": self._forms_of_attention(following)}

    def _forms_of_attention(self, layer: LayerConfig) -> int:
        names = [
            "q_proj",
            *(["k_proj"] if layer.makes_kv else []),
            *(["v_proj"] if layer.makes_kv and not layer.k_eq_v else []),
        ]
        forms = 0
        for name in names:
            forms |= _forms(self._of(layer.index, f"self_attn.{name}.weight"))
        return forms

    def _of(self, i: int, name: str) -> PackedView:
        return self.tensors[f"{TEXT_PREFIX}layers.{i}.{name}"]

    def _norm(self, i: int, name: str) -> np.ndarray:
        return self._vector_of(i, f"{name}.weight")

    def _vector_of(self, i: int, name: str) -> np.ndarray:
        return self._vector(f"layers.{i}.{name}")

    def _vector(self, name: str) -> np.ndarray:
        return np.ascontiguousarray(np.frombuffer(self.tensors[TEXT_PREFIX + name].buffer, np.float32))


def _matrix(view: PackedView, **where: Any) -> dict[str, Any]:
    data = np.frombuffer(view.buffer, np.uint8)
    return {"format": view.format, "rows": view.rows, "cols": view.cols, "count": view.count, "data": data, **where}


def _table(view: PackedView) -> dict[str, Any]:
    """The per-layer table: rows are read from its file one by one, so that it never fills memory."""
    row_bytes = view.buffer.nbytes // view.rows
    table = {"format": view.format, "rows": view.rows, "width": view.cols, "row_bytes": row_bytes}
    file = view.buffer.obj
    if not isinstance(file, MappedFile):
        return {**table, "data": np.frombuffer(view.buffer, np.uint8)}
    return {**table, "file": file.fileno(), "offset": view.file_offset, "keep": file}


def _forms(view: PackedView) -> int:
    """What a lane must hold for this matrix."""
    return FLOATS if view.format in ("f32", "f16", "bf16") else CODES


def _blocks(rows: int) -> int:
    return -(-rows // BLOCK)


def _rounded(value: float, dtype: str) -> float:
    """Rounded to a checkpoint's type, as upstream rounds the scale of looked-up rows (bfloat16: 39.25 for 39.19)."""
    if dtype == "bfloat16":
        bits = np.array(value, np.float32).view(np.uint32)
        return float(((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32))
    return float(np.float16(value)) if dtype == "float16" else float(np.float32(value))


def _frequencies(text: TextConfig, is_sliding: bool) -> list[float]:
    """Radians a position for each rotated pair, in float32 as the definition computes them."""
    for layer in text.layers:
        if layer.is_sliding == is_sliding:
            exponents = np.arange(0, 2 * layer.num_rotated_pairs, 2, dtype=np.float32) / np.float32(layer.head_dim)
            return (np.float32(1.0) / np.float32(layer.rope_theta) ** exponents).astype(np.float32).tolist()
    return []


def _line(step: Step) -> str:
    """`12 matmul  hidden -> qkv  q4 2048x1536, q4 256x1536`."""
    parts = [f"{step.get('layer', ''):>3} {step['op']:<16}"]
    source, target = step.get("in_"), step.get("out")
    parts.append(f"{source or ''} -> {target}" if target else str(source or ""))
    for matrix in step.get("matrices", ()):
        view = matrix["view"]
        parts.append(f"{view.format} {view.rows}x{view.cols}" + (f" x{view.count}" if view.count > 1 else ""))
    return "  ".join(parts).rstrip()
