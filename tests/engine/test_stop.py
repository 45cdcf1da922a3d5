"""Stop strings in a stream: held back, never shown, and found whatever pieces the text comes in."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.engine.generate.stop import StopStrings


def shown(pieces: Sequence[str], *stops: str) -> list[str]:
    """What comes out after each piece, and at the end."""
    filter_ = StopStrings(stops)
    return [*(filter_.push(piece) for piece in pieces), filter_.flush()]


@pytest.mark.parametrize(
    "pieces, stops, expected",
    [
        (["ab", "STOP", "cd"], ["STOP"], ["ab", "", "", ""]),
        (["abS", "T", "OPcd"], ["STOP"], ["ab", "", "", ""]),  # across pieces
        (["abS", "T", "X"], ["STOP"], ["ab", "", "STX", ""]),  # a false alarm is shown when it is over
        (["abST"], ["STOP"], ["ab", "ST"]),  # and at the end
        (["STOP"], ["STOP"], ["", ""]),  # the whole answer
        (["aa", "ab"], ["aab"], ["", "a", ""]),  # it may begin inside what is held back
        (["abcd"], ["bc", "abcd"], ["a", ""]),  # the one complete first ...
        (["abc"], ["bc", "abc"], ["", ""]),  # ... and of those complete together, the longest
        (["x.", "\n", "\ny"], ["\n\n", "."], ["x", "", "", ""]),
        (["héllo 🌍", "!"], ["🌍!"], ["héllo ", "", ""]),
        (["a", "b"], [], ["a", "b", ""]),
    ],
)
def test_examples(pieces: list[str], stops: list[str], expected: list[str]) -> None:
    assert shown(pieces, *stops) == expected


def by_hand(text: str, stops: Sequence[str]) -> str:
    """The definition: read on character by character until the text ends with a stop string."""
    for end in range(len(text) + 1):
        if found := [stop for stop in stops if text[:end].endswith(stop)]:
            return text[: end - max(map(len, found))]
    return text


some_stops = st.lists(st.text(alphabet="abé", min_size=1, max_size=4), max_size=3)


@given(pieces=st.lists(st.text(alphabet="abé", max_size=4), max_size=8), stops=some_stops)
def test_what_is_shown_does_not_depend_on_the_pieces(pieces: list[str], stops: list[str]) -> None:
    text = "".join(pieces)
    assert "".join(shown(pieces, *stops)) == "".join(shown([text], *stops)) == by_hand(text, stops)


@given(pieces=st.lists(st.text(alphabet="ab", max_size=3), max_size=8), stops=some_stops)
def test_only_what_may_begin_a_stop_string_is_held_back(pieces: list[str], stops: list[str]) -> None:
    filter_, read, seen = StopStrings(stops), "", ""
    for piece in pieces:
        read, seen = read + piece, seen + filter_.push(piece)
        held = read.removeprefix(seen)
        assert filter_.found or not held or any(stop.startswith(held) and stop != held for stop in stops)
    assert filter_.num_shown == len(seen)
