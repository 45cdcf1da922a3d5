"""Which format each tensor of a pack gets: four policies.

    exact   each tensor's own type: floats as they are; GGUF's Q4_0 and Q8_0 as q4 and q8, the same values. No kernel
            multiplies by Q6_K: its matrices become q8, 0.5 % from what they were (root mean square); the table keeps it
    q8      matrices q8, the per-layer embedding table q8_0
    q4      matrices q4, the table q4_0
    mix     as q4, but 2 bits where a weight is read often and matters least: attention and MLP of the layers that
            share K/V; all experts of a mixture; in a model with neither, the MLPs of the later half

Whatever the policy, vectors are float32, the router is float32 (small, and it chooses), the senses keep their type. A
head of 8 bits stands in two planes (`quant.planes`), of which a written token usually reads one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

from gemsmith.config.model import ModelConfig
from gemsmith.config.text import TextConfig
from gemsmith.errors import GemsmithError
from gemsmith.formats.pack.plan import PackedTensor, all_packed_tensors, is_head, packed_tensors
from gemsmith.quant import PLANES, upper_bytes

Policy = Literal["exact", "q8", "q4", "mix"]
POLICIES: tuple[Policy, ...] = get_args(Policy)

MATRIX_OF = {"F32": "f32", "F16": "f16", "BF16": "bf16", "Q8_0": "q8", "Q6_K": "q8", "Q4_0": "q4"}
ROWS_OF = {"F32": "f32", "F16": "f16", "BF16": "bf16", "Q8_0": "q8_0", "Q6_K": "q6_k", "Q4_0": "q4_0"}
FLOATS = ("f32", "f16", "bf16")


def tensor_formats(config: ModelConfig, policy: str, dtypes: Mapping[str, str]) -> dict[str, str]:
    """The format of every tensor of the pack, given the types of the released ones ("BF16", "Q4_0", …)."""
    if policy not in POLICIES:
        raise GemsmithError(f"there is no packing {policy!r}; there are {', '.join(POLICIES)}")
    return {
        tensor.name: format_of(tensor, config.text, policy, [dtypes[part] for part in tensor.parts])
        for tensor in all_packed_tensors(config)
    }


def format_of(tensor: PackedTensor, text: TextConfig, policy: str, dtypes: Sequence[str]) -> str:
    """The format of one tensor, made of released ones of these types."""
    if tensor.arrangement == "vector" or tensor.name.endswith("router.proj.weight"):
        return "f32"
    if tensor.arrangement == "plain":
        return MATRIX_OF[next(iter(dtypes))]
    if tensor.arrangement == "table":
        own = ROWS_OF[next(iter(dtypes))]
        return {"exact": own, "q8": "q8_0", "q4": "q4_0", "mix": "q4_0"}[policy]
    if policy == "exact":
        format = widest(MATRIX_OF[dtype] for dtype in dtypes)
    elif policy == "mix":
        format = "q2" if takes_two_bits(tensor, text) else "q4"
    else:
        format = policy
    is_noise = "Q4_0" not in dtypes  # else 16 levels became 8 bits, and the upper nibble is the sign
    return PLANES if format == "q8" and is_head(tensor.name) and is_noise else format


def widest(formats: Iterable[str]) -> str:
    """The format that holds all of these exactly: an interleaved matrix has one."""
    found = set(formats)
    if len(found) == 1:
        return found.pop()
    return "q8" if found == {"q4", "q8"} else "f32"


def takes_two_bits(tensor: PackedTensor, text: TextConfig) -> bool:
    """Whether the mix gives this matrix 2 bits."""
    if text.enable_moe_block:
        return ".experts." in tensor.name
    if ".layers." not in tensor.name:
        return False
    layer = int(tensor.name.split(".layers.")[1].partition(".")[0])
    if text.num_kv_shared_layers:
        return layer >= text.num_kv_layers and (".mlp." in tensor.name or ".self_attn." in tensor.name)
    return layer >= text.num_hidden_layers // 2 and ".mlp." in tensor.name


def usually_read(format: str, rows: int, cols: int, nbytes: int) -> int:
    """Bytes that a token reads of a tensor of `nbytes` that it needs all of: of a head in two planes the upper one."""
    return upper_bytes(rows, cols) if format == PLANES else nbytes


def pack_bytes(text: TextConfig, policy: str, dtype: str = "BF16") -> dict[str, int]:
    """Bytes of "matrices" (all that a token may read), "table" and "vectors", from the config alone."""
    sizes = {"matrices": 0, "table": 0, "vectors": 0}
    for tensor in packed_tensors(text):
        kind = {"table": "table", "vector": "vectors"}.get(tensor.arrangement, "matrices")
        sizes[kind] += tensor.nbytes(format_of(tensor, text, policy, [dtype] * len(tensor.parts)))
    return sizes
