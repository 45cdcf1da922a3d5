"""The table of jobs: every module of it is there, and can be asked."""

from __future__ import annotations

import importlib
import inspect

import pytest

from gemsmith.media.jobs import JOBS, length


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
def test_every_job_decodes(job: str) -> None:
    """In this process too, as tests of a job do: what it imports it says it needs."""
    pytest.importorskip("PIL")
    pytest.importorskip("av")
    pytest.importorskip("pypdfium2")
    module = importlib.import_module(JOBS[job])
    assert list(inspect.signature(module.decode).parameters) == ["file", "options"]


def test_telling_a_length_reaches_who_listens() -> None:
    told: list[float] = []
    length.tell(1.0)
    length.listen(told.append)
    try:
        length.tell(2.0)
    finally:
        length.listen(None)
    length.tell(3.0)
    assert told == [2.0]
