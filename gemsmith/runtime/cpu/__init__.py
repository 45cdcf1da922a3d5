"""The native engine: packed weights, a short program of fused steps, own threads. No torch.

lower.py    a config and packed weights to the program
engine.py   the program behind the runtime protocol
kv.py       bytes that its keys and values take
open.py     a pack to a runtime
"""

from gemsmith.runtime.cpu.engine import CpuRuntime
from gemsmith.runtime.cpu.kv import KV, cache_bytes
from gemsmith.runtime.cpu.lower import Program, lower
from gemsmith.runtime.cpu.open import open_cpu_runtime

__all__ = ["KV", "CpuRuntime", "Program", "cache_bytes", "lower", "open_cpu_runtime"]
