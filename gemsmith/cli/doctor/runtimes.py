"""Which runtimes could serve here, on which accelerators, which would, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from gemsmith import kernels
from gemsmith.cli.doctor import native
from gemsmith.cli.doctor.finding import Finding, size
from gemsmith.config.presets import preset
from gemsmith.runtime import probe
from gemsmith.runtime.candidates import CANDIDATES, Obstacle, chosen, obstacle, torch_obstacle

EXAMPLES = ("e2b", "e4b", "12b", "26b-a4b", "31b")


def look_at_runtimes(facts: dict[str, Any]) -> Iterator[Finding]:
    """The native engine, every candidate of torch, and what `load` takes for which size."""
    yield from native_engine(facts)
    rows = [(candidate, obstacle(candidate)) for candidate in CANDIDATES]
    facts["runtimes"] = [
        {
            "name": str(each),
            "available": why is None,
            "reason": why.reason if why else "",
            "fix": why.fix if why else "",
        }
        for each, why in rows
    ]
    facts["available"] = [str(each) for each, why in rows if why is None]
    if missing := torch_obstacle():
        facts["nvidia_cards"], facts["accelerators"] = list(probe.nvidia_cards()), []
        if missing.is_fault:
            yield Finding("wrong", "torch", f"{missing.reason}: nothing runs on it", missing.fix)
        else:
            text = f"{missing.reason}: no GPU, pictures or sound; the native engine serves all else"
            yield Finding("note", "torch", text, missing.fix)
        return
    yield from _accelerators(facts)
    devices: dict[str, list[str]] = {}
    for each, why in rows:
        if why is None:
            devices.setdefault(f"{each.backend} {each.device}", []).append(each.dtype)
    for name, dtypes in devices.items():
        yield Finding("ok", name, " and ".join(dtypes))
    yield from _absent({(each.backend, each.device): why for each, why in rows if why}, set(devices))
    yield from _choice(facts)


def native_engine(facts: dict[str, Any]) -> Iterator[Finding]:
    """Its kernels and threads, and what it serves unless somebody chooses torch; a note where it was not built."""
    facts["native"] = None
    if not kernels.available():
        yield Finding("note", "native cpu", native.missing().text)
        return
    threads = kernels.native().default_threads()
    facts["native"] = {"isa": kernels.isa(), "threads": threads}
    gpu = probe.torch_gpu()
    otherwise = f", also beside a GPU (--device {gpu} takes torch, but for packs)" if gpu else ""
    text = f"{kernels.isa()} kernels, {threads} threads; serves pebble, packs and GGUF files{otherwise}"
    yield Finding("ok", "native cpu", text)


def _accelerators(facts: dict[str, Any]) -> Iterator[Finding]:
    from gemsmith.runtime.torch.devices import accelerators

    found = accelerators()
    facts["nvidia_cards"], facts["accelerators"] = list(probe.nvidia_cards()), [asdict(each) for each in found]
    for each in found:
        free = f", {size(each.free_bytes)} of them free" if each.free_bytes else ""
        kind = f", {each.capability}" if each.capability else ""
        yield Finding("ok", each.device, f"{each.name}: {size(each.total_bytes)}{free}{kind}")
    if not found:
        yield Finding("ok", "accelerator", "none that torch can use; the processor computes")


def _absent(missing: dict[tuple[str, str], Obstacle], available: set[str]) -> Iterator[Finding]:
    """A line for each device that is not available; one that is, but for a number type, is told too."""
    for (backend, device), why in missing.items():
        name = f"{backend} {device}"
        if why.is_fault:
            yield Finding("wrong", name, why.reason, why.fix)
        else:
            yield Finding("note" if name in available else "ok", name, f"not here: {why.reason}", why.fix)


def _choice(facts: dict[str, Any]) -> Iterator[Finding]:
    """What is taken when nobody asks for anything else, sizes with the same choice on one line."""
    choices: dict[str, list[str]] = {}
    for name in EXAMPLES:
        choices.setdefault(str(chosen(preset(name))), []).append(name)
    facts["chosen"] = {name: choice for choice, names in choices.items() for name in names}
    for choice, names in choices.items():
        yield Finding("ok", "choice", f"{choice} serves {', '.join(names)}: {_reason(choice)}")


def _reason(choice: str) -> str:
    _, device, dtype = choice.split()
    if device != "cpu":
        return "a GPU before the processor, in the type of the file"
    if dtype == "float32":
        return "no GPU; small enough to be exact on the processor"
    return "no GPU; in the type of the file, half the memory of float32"
