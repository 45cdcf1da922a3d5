"""Limits that can be none are refused where they are given, not where they are met."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import pytest

from gemsmith.errors import RequestError
from gemsmith.media.settings import MediaSettings
from gemsmith.media.told import told

NUMBERS = [each.name for each in fields(MediaSettings) if each.name != "allow_urls"]

ODD: list[Any] = [0, -1, math.nan, math.inf, -math.inf, "60", None, True, 1 << 62, 10**5000, [1]]


@pytest.mark.parametrize("name", NUMBERS)
def test_a_limit_is_a_number_above_none(name: str) -> None:
    for value in ODD:
        with pytest.raises(RequestError, match=rf"MediaSettings: {name} is a .*, and it was given "):
            MediaSettings(**{name: value})


@pytest.mark.parametrize("name", ["max_seconds", "timeout_s"])
def test_seconds_may_be_parts_and_counts_may_not(name: str) -> None:
    half: dict[str, Any] = {name: 0.5}
    assert getattr(MediaSettings(**half), name) == 0.5
    with pytest.raises(RequestError, match="whole number from 1"):
        MediaSettings(max_items=2.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0, 1, "no", None])
def test_addresses_are_allowed_by_true_alone(value: Any) -> None:
    with pytest.raises(RequestError, match="allow_urls is True or False"):
        MediaSettings(allow_urls=value)


@pytest.mark.parametrize(
    ("value", "words"),
    [(5, "5"), (math.nan, "nan"), ("a" * 500, "'" + "a" * 79), (10**5000, "an int of 16610 bits"), ((1, 2), "(1, 2)")],
    ids=range(5),
)
def test_values_are_told_as_they_are(value: Any, words: str) -> None:
    assert told(value) == words


def test_other_things_are_told_by_their_type() -> None:
    assert told(object()) == "a object" and "0x" not in told([object()])
