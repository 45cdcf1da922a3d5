"""Accelerators as this torch sees them. Drivers that torch cannot use are found by `runtime.probe`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from gemsmith.runtime.torch.weights import choose_device


@dataclass(frozen=True)
class Accelerator:
    """One device beside the processor. Bytes are 0 where the system does not tell."""

    device: str  # as --device takes it
    name: str
    total_bytes: int
    free_bytes: int
    capability: str


def accelerators() -> tuple[Accelerator, ...]:
    """Every device that torch can compute on, but the processor."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a driver that does not fit is told by `device_obstacle`
        return (*_cuda(), *_mps(), *_xpu())


def device_obstacle(device: str, dtype: str) -> str | None:
    """Why torch cannot compute in `dtype` on `device`; None where it can."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if (lacks := _lacks(device)) is not None:
            return str(said[0].message).splitlines()[0].partition(" (")[0] if said else lacks
        try:
            choose_device(device)
            x = torch.ones(8, 8, dtype=getattr(torch, dtype), device=device)
            if float((x @ x).float().sum()) != 512:
                return f"{device} multiplies matrices of ones in {dtype} wrongly"
        except Exception as error:  # whatever a driver raises
            return f"{device} cannot compute in {dtype}: {(str(error).splitlines() or [repr(error)])[0][:200]}"
    if device == "cuda" and dtype == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "this GPU has no bfloat16 arithmetic"
    return None


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one processor thread: on a busy machine, threads that wait for each other make small models crawl."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _lacks(device: str) -> str | None:
    """What a kind of device is missing altogether."""
    if device == "cuda" and not (torch.version.cuda or torch.version.hip):
        return f"this torch ({torch.__version__}) is built without CUDA"
    if device == "cuda" and not torch.cuda.is_available():
        return "torch sees no NVIDIA or AMD GPU"
    if device == "mps" and not torch.backends.mps.is_available():
        return "this machine has no Apple GPU"
    if device == "xpu" and not torch.xpu.is_available():
        return "torch sees no Intel GPU"
    return None


def _cuda() -> list[Accelerator]:
    found = []
    for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        about = torch.cuda.get_device_properties(i)
        free, total = torch.cuda.mem_get_info(i)
        capability = getattr(about, "gcnArchName", "") if torch.version.hip else f"sm_{about.major}{about.minor}"
        found.append(Accelerator(f"cuda:{i}", about.name, total, free, capability))
    return found


def _mps() -> list[Accelerator]:
    if not torch.backends.mps.is_available():
        return []
    total = torch.mps.recommended_max_memory()
    return [Accelerator("mps", "Apple GPU (memory shared)", total, total - torch.mps.driver_allocated_memory(), "")]


def _xpu() -> list[Accelerator]:
    found = []
    for i in range(torch.xpu.device_count() if torch.xpu.is_available() else 0):
        about = torch.xpu.get_device_properties(i)
        found.append(Accelerator(f"xpu:{i}", about.name, about.total_memory, 0, ""))
    return found
