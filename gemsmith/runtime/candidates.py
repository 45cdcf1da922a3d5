"""What could execute a model on this machine: one line for each engine, device and number type, and why not."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass

from gemsmith import kernels
from gemsmith.config import ModelConfig
from gemsmith.runtime import probe
from gemsmith.runtime.plan import num_weights


@dataclass(frozen=True)
class Candidate:
    """An engine with the settings it would run under: the words of --device and --dtype."""

    backend: str
    device: str
    dtype: str

    def __str__(self) -> str:
        return f"{self.backend} {self.device} {self.dtype}"


@dataclass(frozen=True)
class Obstacle:
    """Why a candidate cannot run here, and what to type to change that (empty where nothing would)."""

    reason: str
    fix: str = ""
    is_fault: bool = False  # the machine could, but something on it is broken


CANDIDATES = (
    Candidate("torch", "cpu", "float32"),
    Candidate("torch", "cpu", "bfloat16"),
    Candidate("torch", "cuda", "float32"),
    Candidate("torch", "cuda", "bfloat16"),
    Candidate("torch", "mps", "float32"),
    Candidate("torch", "mps", "bfloat16"),
    Candidate("torch", "xpu", "float32"),
    Candidate("torch", "xpu", "bfloat16"),
)
REFERENCE = CANDIDATES[0]  # what the others are compared with, its kernels switched off


def obstacle(candidate: Candidate) -> Obstacle | None:
    """What keeps `candidate` from running here; None where nothing does."""
    if missing := torch_obstacle():
        return missing
    from gemsmith.runtime.torch.devices import device_obstacle

    reason = device_obstacle(candidate.device, candidate.dtype)
    if reason is None:
        return None
    if candidate.device == "cuda" and (cards := probe.nvidia_cards()):
        return Obstacle(f"{cards[0]} is here, but {reason}", "pip install --force-reinstall torch", is_fault=True)
    return Obstacle(reason)


def torch_obstacle() -> Obstacle | None:
    """What keeps torch from being imported: it is absent, or its import raises, whatever that raises."""
    if "torch" not in sys.modules and not _is_found("torch"):
        return Obstacle("torch is not installed", "pip install 'gemsmith[torch]'", is_fault=not kernels.available())
    try:
        import gemsmith.runtime.torch  # noqa: F401
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        return Obstacle(f"torch cannot be imported ({said})", "pip install --force-reinstall torch", is_fault=True)
    return None


def chosen(config: ModelConfig) -> Candidate:
    """What `load` takes for a model of this config when nobody asks for anything else."""
    from gemsmith.runtime.torch.weights import choose_device, choose_dtype

    device = choose_device(None)
    dtype = choose_dtype(None, device, num_weights(config.text), config.text)
    return Candidate("torch", device.type, str(dtype).removeprefix("torch."))


def _is_found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
