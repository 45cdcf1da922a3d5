"""The native engine: packed weights, a short program of fused steps, own threads. No torch.

lower.py    a config and packed weights to the program
engine.py   the program behind the runtime protocol
"""

from gemsmith.runtime.cpu.engine import CpuRuntime
from gemsmith.runtime.cpu.lower import Program, lower

__all__ = ["CpuRuntime", "Program", "lower"]
