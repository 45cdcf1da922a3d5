"""The reference runtime: the torch model behind the runtime protocol. Plain, exact, and the oracle of the others."""

from gemsmith.runtime.torch.engine import TorchRuntime, set_threads
from gemsmith.runtime.torch.weights import (
    files_under,
    load_senses,
    load_senses_alone,
    load_text_model,
    make_random_senses,
    make_random_text_model,
)

__all__ = [
    "TorchRuntime",
    "files_under",
    "load_senses",
    "load_senses_alone",
    "load_text_model",
    "make_random_senses",
    "make_random_text_model",
    "set_threads",
]
