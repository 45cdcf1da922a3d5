"""What every test can count on: one torch thread, fixed seeds, no network, plain output, no settings."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator

# Before torch or transformers are imported: their thread pools and caches are set up once.
os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1", NO_COLOR="1")
# Whoever runs the tests has settings and conversations of their own, which are not for tests to read or write.
os.environ["GEMSMITH_HOME"] = os.path.join(tempfile.gettempdir(), f"gemsmith-tests-{os.getpid()}")

import pytest
from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """A test that reaches for another machine fails; loopback stays open for tests of servers."""
    connect = socket.socket.connect

    def only_here(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else "localhost"
        if self.family in (socket.AF_INET, socket.AF_INET6) and host not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"tests use no network, and this one reached for {host}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", only_here)
        yield


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    """Seed torch's and numpy's global generators, where the test uses them at all."""
    import sys

    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(0)


def pytest_configure(config: pytest.Config) -> None:
    """One torch thread per test process, also where torch was imported before us; none of the tester's settings."""
    import sys

    kept = ("GEMSMITH_HOME", "GEMSMITH_TEST_DATA")
    for name in [name for name in os.environ if name.startswith("GEMSMITH_") and name not in kept]:
        del os.environ[name]

    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
