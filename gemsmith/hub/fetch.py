"""A model that a name means, on this machine: fetched first, where it is not here and may be."""

from __future__ import annotations

from dataclasses import replace

from gemsmith.errors import ModelFileError
from gemsmith.hub.connection import offline_error
from gemsmith.hub.names import Resolved
from gemsmith.hub.places import offline
from gemsmith.hub.pull import Terms, pull
from gemsmith.hub.report import Lines, Report


def fetched(found: Resolved, *, memory: int | None = None, report: Report | None = None) -> Resolved:
    """`found` with a path: as it is, or pulled from the Hub. Tells about it on stderr unless `report` says otherwise.

    Raises DownloadError, also where the environment forbids to ask the network; ModelFileError for GGUF weights, which
    would be of no use here.
    """
    refuse_gguf(found)
    if found.kind != "remote" or found.wanted is None:
        return found
    if offline():
        raise offline_error(found.name)
    return replace(found, kind="checkpoint", path=pull(found.wanted, Terms(memory=memory), report or Lines()))


def refuse_gguf(found: Resolved) -> None:
    """Raise for a GGUF file, here or on the Hub: there is nothing yet that could run it."""
    if found.kind == "gguf" or (found.wanted is not None and found.wanted.quant):
        raise ModelFileError(
            f"{found.name} is a GGUF file, and gemsmith cannot run GGUF weights yet; for the same model as safetensors"
            " use a name without a quantisation (e2b, gemma4:e2b, google/gemma-4-E2B-it)"
        )
