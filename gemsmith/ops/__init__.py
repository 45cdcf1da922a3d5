"""The price list: every tensor function the reference model is written in, and the kernels that may take its place."""

from gemsmith.ops import reference
from gemsmith.ops.dispatch import Kernel, Op, without

rms_norm = Op(reference.rms_norm)
rope_table = Op(reference.rope_table)
rope = Op(reference.rope)
rope_2d = Op(reference.rope_2d)
pool_2d = Op(reference.pool_2d)
attention = Op(
    reference.attention,
    Kernel("sdpa", "gemsmith.ops.sdpa:attention", supports="gemsmith.ops.sdpa:supports"),
)
gelu_gate = Op(reference.gelu_gate)
softcap = Op(reference.softcap)
route = Op(reference.route)
experts = Op(reference.experts)

__all__ = [
    "Kernel",
    "Op",
    "attention",
    "experts",
    "gelu_gate",
    "pool_2d",
    "rms_norm",
    "rope",
    "rope_2d",
    "rope_table",
    "route",
    "softcap",
    "without",
]
