"""What the native engine multiplied its packed matrices with: the 8-bit codes of every lane, by the matrix's name.

A program uses few lanes, each many times. Here it is written once more with a lane for each time, so that all codes
still stand there when it has run; nothing else differs, and the hidden rows are the same to the bit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gemsmith import kernels
from gemsmith.config.tensors import EMBEDDING
from gemsmith.formats.pack import Pack, packed_tensors
from gemsmith.runtime.cpu import Program, lower

CODED = ("q8", "q4", "q2", "q8_planes")
PER_EXPERT = ("chosen", "expert_mlp")  # lanes with a row for each of a token's experts


def engine_codes(pack: Pack, ids: list[int]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Hidden rows [T, D] of a prompt, and the codes [rows, columns] by released name of each coded matrix."""
    native, text = kernels.native(), pack.config.text
    program = with_own_lanes(lower(text, pack.tensors, dtype="float32"))
    description, lanes = program.native(), list(program.lanes)
    description["lane_per_expert"] = [i for i, name in enumerate(lanes) if name.split()[0] in PER_EXPERT]
    engine = native.Engine(description, 1, "f32", text.pad_token_id)
    tokens = np.array(ids, np.int32)
    hidden = engine.step([(engine.create(), tokens, np.arange(len(ids)), None, None, None)])

    parts = {tensor.name: tensor.parts for tensor in packed_tensors(text)}
    codes: dict[str, np.ndarray] = {}
    for step in program.steps:
        for matrix in step.get("matrices", ()):
            if (view := matrix["view"]).format in CODED:
                each = (text.top_k_experts or 1) if step["in_"].split()[0] in PER_EXPERT else 1
                found = engine.lane_codes(lanes.index(step["in_"]), each * len(ids))[:, : view.cols]
                codes |= dict.fromkeys(parts[view.name], found)
    if pack.tensors[EMBEDDING].format in CODED:  # the head makes codes of the hidden rows that it is given
        rows = [native.quantize_row(native.isa(), row)[0][: text.hidden_size] for row in hidden]
        codes[EMBEDDING] = np.stack(rows)
    return hidden, codes


def with_own_lanes(program: Program) -> Program:
    """The same steps, but no lane is written twice; the first of each keeps its name."""
    lanes: dict[str, list[int]] = {}
    latest: dict[str, str] = {}
    steps = []
    for number, step in enumerate(program.steps):
        own = dict(step)
        if step.get("in_") in program.lanes:
            own["in_"] = latest[step["in_"]]
        if (name := step.get("out")) in program.lanes:
            own["out"] = latest[name] = f"{name} {number}" if name in lanes else name
            lanes[own["out"]] = program.lanes[name]
        steps.append(own)
    return replace(program, steps=steps, lanes=lanes)
