"""A pool of decoding processes that can be told to fail, and a file to give them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from gemsmith.media.settings import MediaSettings
from gemsmith.media.worker.pool import Pool

FAULTS = {"fault": "tests.media.worker.faults"}


class Faulty(Pool):
    """A pool whose only job fails in the way that is asked for."""

    def fault(
        self, kind: str, file: BinaryIO, settings: MediaSettings | None = None, /, **options: Any
    ) -> dict[str, Any]:
        """What the job answers, or raises."""
        values, _ = self.run("fault", file, {"fault": kind, **options}, settings or MediaSettings())
        return values

    def pid(self, file: BinaryIO) -> int:
        """The process that answers an honest job next, which shows that one does."""
        values, arrays = self.run("fault", file, {"fault": "none"}, MediaSettings())
        file.seek(0)
        assert np.array_equal(arrays[0], np.frombuffer(file.read(), dtype=np.uint8))
        return int(values["pid"])


@pytest.fixture(scope="module")
def pool() -> Iterator[Faulty]:
    """One for all tests of a module: each leaves it able to work."""
    pool = Faulty(FAULTS)
    yield pool
    pool.close()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[BinaryIO]:
    """A file of 5,000 bytes."""
    path = tmp_path / "given"
    path.write_bytes(b"given" * 1000)
    with open(path, "rb") as file:
        yield file
