"""A real network with random weights, loaded once."""

from __future__ import annotations

import pytest

import gemsmith


@pytest.fixture(scope="session")
def tiny() -> gemsmith.Model:
    return gemsmith.load("tiny-random-e2b", device="cpu")
