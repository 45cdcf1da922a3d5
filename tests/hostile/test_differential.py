"""Our reading of safetensors headers against the reference implementation's, on headers built to be nearly right.

What we read, it reads alike. Where we refuse and it does not, the reason is one of `STRICTER`, each with its why; a
reason that is not there fails the test, and so does one that no file needs.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import safetensors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemsmith.errors import TensorFileError
from gemsmith.formats.safetensors import TensorFile
from gemsmith.formats.tensor import ITEM_BYTES

pytestmark = pytest.mark.slow

STRICTER = {
    r"names must be printable": "a name goes to terminals, into other files and into messages",
    r"tensor name of \d+ bytes": "the same, seen before the name is decoded",
    r"the header of .* has '.*' twice": "which of two tensors is meant would be each reader's own opinion",
    r"must have dtype, shape and data_offsets": "a field nobody knows may mean something to the file's maker",
    r"expected up to 8 sizes": "no tensor of a model has nine dimensions",
    r"takes \d+ bytes of header": "an entry of a kilobyte is no entry",
    r"has dtype '.*'; known are": "4- and 6-bit floats, and newer kinds, which no Gemma 4 file has",
    r'not valid after byte .*"__metadata__":null': "metadata are an object or absent",
}
"""What we refuse and the reference may read: pattern of our message, and of the file's header -> why."""

NAMES = st.sampled_from(
    ["a", "b", "model.norm.weight", "é", "a\0", "a\n", "\x1b[2J", "", "x" * 513, " ", "\u202e", "."]
)
EDGES = st.sampled_from([-1, 0, 1, 2, 3, 7, 8, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 1.5, None, "1", True])


@st.composite
def entries(draw: st.DrawFn, start: int) -> tuple[dict[str, Any], int]:
    """A tensor that begins where the last one ended, mostly; and where it ends."""
    dtype = draw(st.sampled_from([*ITEM_BYTES, "F4", "F31", "", 4]))
    shape = draw(st.lists(st.integers(0, 3), max_size=10) | st.lists(EDGES, max_size=3))
    size = ITEM_BYTES.get(dtype, 1) if isinstance(dtype, str) else 1
    for length in shape:
        size *= length if isinstance(length, int) and 0 <= length < 100 else 1
    size = min(size, 4096)
    begin = start + draw(st.sampled_from([0] * 12 + [1, -1]))
    end = begin + size + draw(st.sampled_from([0] * 12 + [1, -1]))
    offsets = draw(st.sampled_from([[begin, end]] * 12 + [[end, begin], [begin], [begin, end, end], [-1, end]]))
    entry = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
    if draw(st.integers(0, 15)) == 0:
        entry[draw(st.sampled_from(["extra", "Dtype"]))] = draw(st.integers(0, 3))
    return entry, max(end, 0)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A file of up to four tensors in file order, its JSON written by hand so that keys can stand twice."""
    start, pairs = 0, []
    for _ in range(draw(st.integers(0, 4))):
        entry, start = draw(entries(start))
        pairs.append((draw(NAMES), entry))
    if draw(st.booleans()):
        metadata = draw(st.sampled_from([{}, {"format": "pt"}, {"a": 1}, [], None, {"a": {"b": "c"}}, {"é": "\0"}]))
        pairs.insert(draw(st.integers(0, len(pairs))), ("__metadata__", metadata))
    ensure_ascii = draw(st.booleans())
    text = ",".join(f"{json.dumps(k, ensure_ascii=ensure_ascii)}:{json.dumps(v)}" for k, v in pairs)
    header = ("{" + text + "}" + draw(st.sampled_from(["", "", "  ", "\n", "\0", ",", "}"]))).encode()
    length = len(header) + draw(st.sampled_from([0] * 12 + [1, -1, 2**40]))
    return length.to_bytes(8, "little") + header + bytes(start + draw(st.sampled_from([0] * 12 + [1])))


def theirs(raw: bytes) -> dict[str, tuple[str, tuple[int, ...], bytes]] | None:
    try:
        return {name: (t["dtype"], tuple(t["shape"]), bytes(t["data"])) for name, t in safetensors.deserialize(raw)}
    except safetensors.SafetensorError:
        return None


def judge(raw: bytes, path: Path) -> str | None:
    """The reason of STRICTER that is needed, if one is; AssertionError where the two readers disagree without one."""
    path.write_bytes(raw)
    reference = theirs(raw)
    try:
        ours = {name: (view.dtype, view.shape, bytes(view.buffer)) for name, view in TensorFile(path).items()}
    except TensorFileError as error:
        if reference is None:
            return None
        seen = f"{error} {raw[8:].decode(errors='replace')}"
        reason = next((reason for reason in STRICTER if re.search(reason, seen, re.DOTALL)), None)
        assert reason, f"the reference reads this file, and we say without a stated reason: {error}"
        return reason
    assert ours == reference
    return None


@pytest.mark.long
def test_on_headers_that_are_nearly_right(tmp_path: Path) -> None:
    verdicts = {"read": 0, "refused": 0, "stricter": 0}

    @settings(max_examples=1500, suppress_health_check=list(HealthCheck))
    @given(raw=files())
    def agree(raw: bytes) -> None:
        needed = judge(raw, tmp_path / "x.safetensors")
        verdicts["stricter" if needed else "refused" if theirs(raw) is None else "read"] += 1

    agree()
    assert min(verdicts.values()) > 30, f"the generator sees too little of one kind: {verdicts}"


def one(header: str, data: int = 1) -> bytes:
    return len(header.encode()).to_bytes(8, "little") + header.encode() + bytes(data)


T = '{"dtype":"U8","shape":[1],"data_offsets":[0,1]}'
NEEDED = {
    r"names must be printable": one(f'{{"\\u0000":{T}}}'),
    r"tensor name of \d+ bytes": one(f'{{"{"x" * 5000}":{T}}}'),
    r"the header of .* has '.*' twice": one(f'{{"a":{T},"a":{T}}}'),
    r"must have dtype, shape and data_offsets": one('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}'),
    r"expected up to 8 sizes": one('{"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}}'),
    r"takes \d+ bytes of header": one('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]' + " " * 2000 + "}}"),
    r'not valid after byte .*"__metadata__":null': one(f'{{"__metadata__":null,"a":{T}}}'),
    r"has dtype '.*'; known are": one('{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}'),
}


@pytest.mark.parametrize("reason", STRICTER)
def test_each_reason_to_be_stricter_is_needed(reason: str, tmp_path: Path) -> None:
    assert reason in NEEDED, "no file shows that this reason is needed"
    assert judge(NEEDED[reason], tmp_path / "x.safetensors") == reason
