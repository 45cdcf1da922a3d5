"""The native engine: packed weights, a short program of fused steps, own threads. No torch.

lower.py    a config and packed weights to the program
engine.py   the program behind the runtime protocol
"""

from gemsmith.runtime.cpu.engine import CpuRuntime
from gemsmith.runtime.cpu.lower import Program, lower
from gemsmith.runtime.cpu.open import KV, open_cpu_runtime

__all__ = ["KV", "CpuRuntime", "Program", "lower", "open_cpu_runtime"]
