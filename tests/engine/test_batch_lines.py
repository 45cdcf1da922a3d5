"""Lines of bounded length from files of any size, and JSON from strangers."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemsmith.engine.batch import lines as module
from gemsmith.engine.batch.lines import Line, Lines, scan
from gemsmith.engine.batch.strict import MAX_DEPTH, parse
from gemsmith.errors import RequestError


def read(data: bytes, limit: int | None = None) -> list[Line]:
    return list(Lines(io.BytesIO(data), limit))


def test_blank_lines_are_skipped_and_counted():
    assert read(b'1\n\n  \r\n2\r\n"\xe2\x80\xa8"\n\n') == [Line(1, b"1"), Line(4, b"2"), Line(5, b'"\xe2\x80\xa8"')]


def test_the_last_line_needs_no_end_and_the_first_may_have_a_mark():
    assert read(b"\xef\xbb\xbf1\n2") == [Line(1, b"1"), Line(2, b"2")]
    assert read(b"") == []


def test_a_limit_counts_lines_that_are_not_blank():
    assert read(b"\n1\n\n2\n3\n", limit=2) == [Line(2, b"1"), Line(4, b"2")]


def test_a_long_line_is_read_past_without_its_bytes(monkeypatch):
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 10)
    monkeypatch.setattr(module, "PIECE", 4)
    assert read(b"a" * 9 + b"\n" + b"b" * 10 + b"\n" + b"c" * 99 + b"\nd\n" + b"e" * 50) == [
        Line(1, b"a" * 9),
        Line(2, None),
        Line(3, None),
        Line(4, b"d"),
        Line(5, None),
    ]


@given(st.lists(st.sampled_from([b"", b" ", b"1", b"22", b"x" * 12]), max_size=6), st.integers(0, 50))
def test_the_sum_tells_any_change_of_the_lines_and_their_numbers(pieces, cut):
    def summed(data):
        lines = Lines(io.BytesIO(data))
        return [*lines], lines.sha256

    data = b"\n".join(pieces) + b"\n"
    (read_1, sum_1), (read_2, sum_2) = summed(data), summed(data[:cut] + b"7" + data[cut:])
    assert read_1 != read_2 and sum_1 != sum_2
    assert summed(data + b"\n \n") == (read_1, sum_1)


def test_the_sum_sees_the_end_of_a_long_line(monkeypatch):
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 10)
    sums = []
    for data in (b"a" * 99 + b"b\n", b"a" * 99 + b"c\n"):
        lines = Lines(io.BytesIO(data))
        assert list(lines) == [Line(1, None)]
        sums.append(lines.sha256)
    assert sums[0] != sums[1]


def test_a_scan_leaves_the_file_at_its_start(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"1\n\n2\n3\n")
    with path.open("rb") as file:
        found = scan(file, limit=2)
        assert (found.count, found.size) == (2, 7)
        lines = Lines(file, found.count)
        assert [line.number for line in lines] == [1, 3]
        assert lines.sha256 == found.sha256


@pytest.mark.parametrize(
    "data, words",
    [
        (b"nope", "not valid JSON: Expecting value at character 1"),
        (b'{"a": 1', "not valid JSON"),
        (b'{"a": "b', "not valid JSON: Unterminated string at character 7"),
        (b'"\xff"', "not UTF-8 text: byte 0xff at position 2"),
        (b"\xff\xfe1\x00", "not UTF-8"),
        (b'"\x00"', "not valid JSON: Invalid control character"),
        (b"[" * 100_000, f"nested deeper than {MAX_DEPTH}"),
        (b"[" * 100 + b"]" * 100, f"nested deeper than {MAX_DEPTH}"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, f"nested deeper than {MAX_DEPTH}"),
        (b"1e999", "1e999 is too large"),
        (b"[NaN]", "NaN is not a JSON number"),
        (b"-Infinity", "-Infinity is not a JSON number"),
        (b'{"a": 1, "b": {"a": 1, "a": 2}}', "'a' stands twice"),
        (b"9" * 5000, "not valid JSON"),
        (rb'"\ud800"', "\\ud800 stands alone"),
        (rb'{"a": [{"\udfff": 1}]}', "\\udfff stands alone"),
    ],
    ids=range(16),
)
def test_what_a_line_may_not_hold(data, words):
    with pytest.raises(RequestError) as caught:
        parse(data)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(json_values, st.booleans())
def test_every_other_value_is_read_as_json_reads_it(value, ascii):
    text = json.dumps(value, ensure_ascii=ascii)
    assert parse(text.encode()) == json.loads(text)


def test_the_deepest_that_may_be():
    data = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert parse(data) == json.loads(data)


@given(st.binary(max_size=40))
def test_bytes_are_a_value_or_a_request_error(data):
    try:
        parse(data)
    except RequestError as error:
        assert str(error)
