"""The tree of errors: each crosses processes as it is, and advises only what can be done."""

from __future__ import annotations

import pickle

import pytest

from gemsmith.errors import (
    ContextLengthError,
    GemsmithError,
    MissingDependencyError,
    SamplingError,
    TensorMismatchError,
)

EXAMPLES = [
    ContextLengthError(3, 2, 8),
    MissingDependencyError("torch", "torch", "running"),
    SamplingError("no"),
    TensorMismatchError("here", missing=["a", "b"]),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_crosses_processes_as_it_is(error: GemsmithError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert (str(back), vars(back)) == (str(error), vars(error))


def test_a_larger_context_is_advised_only_where_there_is_one() -> None:
    assert str(ContextLengthError(9, 4, 8)).endswith("shorten it, or load the model with a larger max_context, up to 8")
    assert str(ContextLengthError(9, 8, 8)).endswith("context is 8; shorten it")
