"""Files that lie: every one is refused with an error that names it, quickly, and before memory is spent on it."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
import tracemalloc
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemsmith.errors import ModelFileError, TensorFileError
from gemsmith.formats.files import read_json_object
from gemsmith.formats.safetensors import TensorFile


def entry(shape: str, start: int, stop: int, dtype: str = "U8") -> bytes:
    """One tensor of a header, as text."""
    return b'{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}' % (dtype.encode(), shape.encode(), start, stop)


TENSOR = entry("1", 0, 4, "F32")
HUGE = 2**63 - 1


def refused(path: Path, *, peak_bytes: int = 1 << 20) -> str:
    """The message with which `path` is refused, within these bounds of memory and time (of the processor)."""
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(TensorFileError) as caught:
            TensorFile(path)
        assert tracemalloc.get_traced_memory()[1] < peak_bytes
        assert time.process_time() - began < 4  # tracing slows Python about four times
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)
    return str(caught.value)


def with_header(path: Path, header: bytes, data: bytes = b"1234") -> Path:
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path


@pytest.mark.parametrize("length", [0, 1, 53, 10**8 + 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1])
def test_header_length(tmp_path: Path, length: int):
    path = tmp_path / "x.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + b'{"a":' + TENSOR + b"}1234"[:-5])
    refused(path)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prefix=st.binary(min_size=8, max_size=8))
def test_any_first_eight_bytes(tmp_path: Path, prefix: bytes):
    header = b'{"a":' + TENSOR + b"}"
    if int.from_bytes(prefix, "little") == len(header):
        return
    (tmp_path / "x.safetensors").write_bytes(prefix + header + b"1234")
    refused(tmp_path / "x.safetensors")


def test_a_header_of_a_hundred_megabytes_is_not_read(tmp_path: Path):
    path = tmp_path / "x.safetensors"
    path.write_bytes((10**8 + 1).to_bytes(8, "little") + b"{")
    os.truncate(path, 10**8 + 100)  # sparse
    assert "100000001" in refused(path)


HEADERS = {
    "dtype and shape do not give the bytes": b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}',
    "offsets reversed": b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}',
    "offset negative": b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}',
    "offset beyond the file": b'{"a":' + entry(f"{HUGE}", 0, HUGE) + b"}",
    "shape negative": b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
    "shape overflows": b'{"a":' + entry("4294967296,4294967296,1", 0, 4, "F32") + b"}",
    "shape overflows to nothing": b'{"a":' + entry(f"{HUGE},{HUGE},0", 0, 0) + b',"b":' + TENSOR + b"}",
    "shape of forty digits": b'{"a":{"dtype":"F32","shape":[' + b"1" * 40 + b'],"data_offsets":[0,4]}}',
    "shape of a million digits": b'{"a":{"dtype":"F32","shape":[' + b"1" * 10**6 + b'],"data_offsets":[0,4]}}',
    "shape of floats": b'{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}',
    "shape of truths": b'{"a":{"dtype":"F32","shape":[true],"data_offsets":[0,4]}}',
    "rank of a hundred": b'{"a":{"dtype":"F32","shape":[' + b"1," * 99 + b'1],"data_offsets":[0,4]}}',
    "gap before the first": b'{"a":' + entry("3", 1, 4) + b"}",
    "gap between": b'{"a":' + entry("1", 0, 1) + b',"b":' + entry("1", 3, 4) + b"}",
    "overlap": b'{"a":' + entry("3", 0, 3) + b',"b":' + entry("2", 2, 4) + b"}",
    "the same bytes twice": b'{"a":' + TENSOR + b',"b":' + TENSOR + b"}",
    "bytes left over": b'{"a":' + entry("3", 0, 3) + b"}",
    "no tensor at all": b"{}",
    "duplicate name": b'{"a":' + TENSOR + b',"a":' + TENSOR + b"}",
    "duplicate name, escaped": b'{"a":' + TENSOR + b',"\\u0061":' + TENSOR + b"}",
    "duplicate field": b'{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
    "unknown field": b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"pickle":"x"}}',
    "unknown dtype": b'{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}',
    "name of a megabyte": b'{"' + b"a" * 10**6 + b'":' + TENSOR + b"}",
    "name empty": b'{"":' + TENSOR + b"}",
    "name with NUL": b'{"a\\u0000":' + TENSOR + b"}",
    "name with a line break": b'{"a\\n":' + TENSOR + b"}",
    "name with half a surrogate": b'{"\\ud800":' + TENSOR + b"}",
    "name that is not UTF-8": b'{"\xff":' + TENSOR + b"}",
    "name with a terminal escape": b'{"\\u001b[2J":' + TENSOR + b"}",
    "metadata of numbers": b'{"__metadata__":{"a":1},"a":' + TENSOR + b"}",
    "metadata twice": b'{"__metadata__":{},"__metadata__":{},"a":' + TENSOR + b"}",
    "metadata deep": b'{"__metadata__":' + b'{"a":' * 10**5 + b'""' + b"}" * 10**5 + b',"a":' + TENSOR + b"}",
    "metadata of lists, deep": b'{"__metadata__":{"a":' + b"[" * 10**5 + b"]" * 10**5 + b'},"a":' + TENSOR + b"}",
    "metadata is a list": b'{"__metadata__":[],"a":' + TENSOR + b"}",
    "metadata of two megabytes": b'{"__metadata__":{"a":"' + b"x" * 2**21 + b'"},"a":' + TENSOR + b"}",
    "entry is a string": b'{"a":"{}"}',
    "entry in an entry": b'{"a":{"dtype":{},"shape":[1],"data_offsets":[0,4]}}',
    "not JSON": b"{'a': 1}",
    "comma at the end": b'{"a":' + TENSOR + b",}",
    "brace missing": b'{"a":' + TENSOR,
    "string not closed": b'{"a' + b"\\" * 10**5,
    "text after the object": b'{"a":' + TENSOR + b"} {}",
    "zeros after the object": b'{"a":' + TENSOR + b"}\0\0",
    "blank before the object": b' {"a":' + TENSOR + b"}",
    "a list": b"[" + TENSOR + b"]",
    "a number that JSON has not": b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}',
    "minus nothing": b'{"a":{"dtype":"U8","shape":[4,-0],"data_offsets":[0,0]}}',
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
def test_header(tmp_path: Path, header: bytes):
    message = refused(with_header(tmp_path / "x.safetensors", header), peak_bytes=8 * 2**20)
    assert len(message) < 1000


@pytest.mark.slow
def test_a_million_tensors_cost_little_time_and_memory(tmp_path: Path):
    one = b',"%d":' + entry("0", 0, 0)
    header = b'{"first":' + entry("0", 0, 0) + b"".join(one % i for i in range(40_000)) + one % 0 * 960_000 + b"}"
    path = with_header(tmp_path / "x.safetensors", header, b"")
    began = time.process_time()
    with pytest.raises(TensorFileError, match="more than 32768 tensors"):
        TensorFile(path)
    assert time.process_time() - began < 1
    refused(path, peak_bytes=50 * 2**20)


@pytest.mark.parametrize(
    "prefix, suffix", [(b"PK\3\4", b""), (b"\x7fELF", b""), (b"", b"PK\5\6" + bytes(18)), (b"", b"\0")]
)
def test_a_file_that_is_two_files(tmp_path: Path, prefix: bytes, suffix: bytes):
    (tmp_path / "x.safetensors").write_bytes(prefix + safetensors.torch.save({"a": torch.ones(3)}) + suffix)
    refused(tmp_path / "x.safetensors")


@pytest.mark.slow
def test_cut_short_anywhere(tmp_path: Path):
    raw = safetensors.torch.save({f"t{i}": torch.ones(i + 1, 3) for i in range(4)})
    offsets = {*range(16), *(len(raw) * i // 48 for i in range(48))}
    for offset in offsets:
        path = tmp_path / "x.safetensors"
        path.write_bytes(raw[:offset])
        assert "download it again" in refused(path)


def test_things_that_are_not_files(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "dangling", Path("/dev/zero"), tmp_path / "nothing"):
        refused(path)
    with pytest.raises(TensorFileError):
        TensorFile(str(tmp_path) + "/a\0b")


def test_a_link_to_a_file_is_that_file(tmp_path: Path):
    safetensors.torch.save_file({"a": torch.ones(3)}, tmp_path / "blob")
    (tmp_path / "model.safetensors").symlink_to(tmp_path / "blob")  # how the Hub's cache keeps its snapshots
    assert TensorFile(tmp_path / "model.safetensors")["a"].numpy().tolist() == [1, 1, 1]


def test_a_file_replaced_after_opening_changes_nothing(tmp_path: Path):
    path, other = tmp_path / "x.safetensors", tmp_path / "other"
    safetensors.torch.save_file({"a": torch.ones(2048)}, path)
    safetensors.torch.save_file({"a": torch.zeros(2048)}, other)
    file = TensorFile(path)
    os.replace(other, path)
    assert file["a"].numpy().min() == 1
    assert TensorFile(path)["a"].numpy().max() == 0


def test_files_swapped_while_they_are_opened_are_one_or_the_other(tmp_path: Path):
    path, done = tmp_path / "x.safetensors", threading.Event()
    versions = [safetensors.torch.save({"a": torch.full((size,), float(size))}) for size in (10, 1000)]
    path.write_bytes(versions[0])

    def swap() -> None:
        for i in itertools.count():
            (tmp_path / "next").write_bytes(versions[i % 2])
            os.replace(tmp_path / "next", path)
            if done.is_set():
                return

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(200):
            values = TensorFile(path)["a"].numpy()
            assert values.tolist() == [len(values)] * len(values)
    finally:
        done.set()
        swapper.join()


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"a":1,"a":2}', '{"a":NaN}', "[" * 10**5, '{"a":' * 10**5, "\xff", '{"a":1}' + " " * (5 << 20)]
)
def test_small_json_files(tmp_path: Path, text: str):
    (tmp_path / "x.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelFileError, match=r"x\.json"):
        read_json_object(tmp_path / "x.json")


def test_small_json_files_that_are_right(tmp_path: Path):
    (tmp_path / "x.json").write_text(json.dumps({"a": [1, {"b": None}]}))
    assert read_json_object(tmp_path / "x.json") == {"a": [1, {"b": None}]}
