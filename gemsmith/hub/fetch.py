"""A model that a name means, on this machine: fetched first, where it is not here and may be."""

from __future__ import annotations

from dataclasses import replace

from gemsmith.errors import ModelFileError
from gemsmith.hub.connection import offline_error
from gemsmith.hub.known import Wanted, is_read
from gemsmith.hub.names import Resolved
from gemsmith.hub.places import offline
from gemsmith.hub.pull import Terms, pull
from gemsmith.hub.report import Lines, Report


def fetched(found: Resolved, *, memory: int | None = None, report: Report | None = None) -> Resolved:
    """`found` with a path: as it is, or pulled from the Hub. Tells about it on stderr unless `report` says otherwise.

    Raises DownloadError, also where the environment forbids to ask the network; ModelFileError for weights in types
    that would be of no use here.
    """
    if found.kind != "remote" or found.wanted is None:
        return found
    refuse_unread(found.name, found.wanted)
    if offline():
        raise offline_error(found.name)
    path = pull(found.wanted, Terms(memory=memory), report or Lines())
    return replace(found, kind="gguf" if found.wanted.quant else "checkpoint", path=path)


def refuse_unread(name: str, wanted: Wanted) -> None:
    """Raise for a quantisation whose name says that its file could not be read, before gigabytes of it are fetched."""
    if wanted.quant is not None and not is_read(wanted.quant):
        raise ModelFileError(
            f"{name} asks for GGUF weights in {wanted.quant}, which gemsmith does not read; it reads Q4_0, Q6_K, Q8_0,"
            f" BF16, F16 and F32: try {replace(wanted, quant='Q4_0')}, or a name without a quantisation for the same"
            " model as safetensors (e2b, gemma4:e2b, google/gemma-4-E2B-it)"
        )
