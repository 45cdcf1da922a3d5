"""A model made ready before it is loaded: fetched if it is not here, packed if the native engine wants that once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from gemsmith.cli.ending import tidy_ending
from gemsmith.cli.fetching import ensure_here
from gemsmith.cli.output import note

if TYPE_CHECKING:
    from gemsmith.engine.packing import Job

CHOICES = ("backend", "dtype", "device")  # keywords of `load` that say which engine computes


def ensure_ready(model: str, loading: Mapping[str, Any]) -> None:
    """Fetch and pack the model that is about to be loaded with these keywords, and say so; a second start says nothing.

    Ctrl-C (or SIGTERM) in here says what is left of it. A name that leads nowhere is for `gemsmith.load` to refuse.
    """
    from gemsmith.engine.loading import prepare
    from gemsmith.errors import ModelNotFoundError

    ensure_here(model)
    choices = {key: value for key, value in loading.items() if key in CHOICES}
    report = Bars()
    try:
        say_engine(model, choices)
        with tidy_ending():
            prepare(model, report, **choices)
    except ModelNotFoundError:
        return
    except (KeyboardInterrupt, SystemExit):
        report.close()
        note("stopped; nothing was left behind, and the same command packs anew")
        raise
    finally:
        report.close()


def say_engine(model: str, choices: Mapping[str, Any]) -> None:
    """Say that a GGUF file runs on the processor although there is a GPU, where nobody chose; and what would choose."""
    from gemsmith.engine.loading import engine_of
    from gemsmith.hub.names import resolve
    from gemsmith.runtime.probe import torch_gpu
    from gemsmith.runtime.select import has_torch

    found = resolve(model)
    if found.kind != "gguf" or any(value is not None for value in choices.values()) or engine_of(found) != "cpu":
        return
    if (gpu := torch_gpu()) and has_torch():
        note(f"{model} runs on the processor, with the native engine; on the GPU, with torch: --device {gpu}")


class Bars:
    """A bar on a terminal, lines elsewhere; nothing until something begins."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._progress: Callable[[str, int, int], None] | None = None
        self._began_s = 0.0

    def begin(self, job: Job) -> None:
        """Say what happens, and open the bar."""
        from gemsmith.cli.quantize import showing

        note(str(job))
        self._began_s = time.monotonic()
        self._progress = self._stack.enter_context(showing(False))

    def note(self, text: str) -> None:
        """Say it."""
        note(text)

    def move(self, what: str, done: int, total: int) -> None:
        """Move the bar."""
        if self._progress is not None:
            self._progress(what, done, total)

    def end(self, job: Job) -> None:
        """Close the bar, and say that it is done."""
        from gemsmith.engine.packing import ended

        self.close()
        note(ended(time.monotonic() - self._began_s))

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._stack.close()
        self._progress = None
