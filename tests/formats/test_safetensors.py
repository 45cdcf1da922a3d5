"""Our safetensors files against the reference implementation, both ways, on valid and on mutated files."""

from __future__ import annotations

import json
import mmap
import struct
from pathlib import Path

import pytest
import safetensors
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemsmith.errors import TensorFileError
from gemsmith.formats.safetensors import TensorFile, write_tensors
from gemsmith.formats.tensor import TensorStream, TensorView

DTYPES = [torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.int64, torch.int8, torch.uint8, torch.bool]
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, categories=("L", "N", "P", "S")), min_size=1)
SHAPES = st.lists(st.integers(0, 4), max_size=4)
TENSORS = st.dictionaries(NAMES.filter("__metadata__".__ne__), st.tuples(SHAPES, st.sampled_from(DTYPES)), max_size=5)
examples = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def random_tensors(spec: dict[str, tuple[list[int], torch.dtype]]) -> dict[str, torch.Tensor]:
    return {name: torch.randn(shape).mul(3).to(dtype) for name, (shape, dtype) in spec.items()}


def reference(raw: bytes) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """What the reference reads; it raises where it refuses."""
    return {name: (t["dtype"], tuple(t["shape"]), bytes(t["data"])) for name, t in safetensors.deserialize(raw)}


@examples
@given(spec=TENSORS, metadata=st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=2))
def test_reads_what_the_reference_writes(tmp_path: Path, spec, metadata):
    tensors, path = random_tensors(spec), tmp_path / "theirs.safetensors"
    safetensors.torch.save_file(tensors, path, metadata=metadata or None)
    file = TensorFile(path)
    assert file.keys() == tensors.keys() and file.metadata == metadata
    for name, tensor in tensors.items():
        assert file[name].shape == tuple(tensor.shape)
        wide = tensor.float() if tensor.is_floating_point() else tensor
        torch.testing.assert_close(torch.from_numpy(file[name].numpy().copy()), wide, rtol=0, atol=0)


@pytest.mark.slow
@examples
@given(spec=TENSORS)
def test_the_reference_reads_what_we_write(tmp_path: Path, spec):
    tensors, path = random_tensors(spec), tmp_path / "theirs.safetensors"
    safetensors.torch.save_file(tensors, path)
    write_tensors(tmp_path / "ours.safetensors", TensorFile(path))
    theirs = safetensors.torch.load_file(tmp_path / "ours.safetensors")
    assert theirs.keys() == tensors.keys()
    for name in tensors:
        assert theirs[name].dtype == tensors[name].dtype and torch.equal(theirs[name], tensors[name])


def test_every_tensor_starts_on_a_multiple_of_its_element_size(tmp_path: Path):
    tensors = {"a": torch.zeros(3, dtype=torch.uint8), "b": torch.zeros(1, dtype=torch.float64), "c": torch.zeros(3)}
    safetensors.torch.save_file(tensors, tmp_path / "x.safetensors")
    write_tensors(tmp_path / "y.safetensors", TensorFile(tmp_path / "x.safetensors"))
    raw = (tmp_path / "y.safetensors").read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    assert (8 + length) % 64 == 0
    assert header["b"]["data_offsets"][0] % 8 == 0 and header["c"]["data_offsets"][0] % 4 == 0


def test_a_view_is_no_copy_and_outlives_its_file(tmp_path: Path):
    path = tmp_path / "x.safetensors"
    safetensors.torch.save_file({"a": torch.arange(4.0)}, path)
    view = TensorFile(path)["a"]
    assert view.buffer.readonly and isinstance(view.buffer.obj, mmap.mmap)
    path.unlink()
    assert view.numpy().tolist() == [0, 1, 2, 3] and view.nbytes == 16


def test_writes_a_tensor_that_is_made_on_the_way(tmp_path: Path):
    rows = (struct.pack("<2f", row, -row) for row in range(3))
    write_tensors(tmp_path / "x.safetensors", {"rows": TensorStream((3, 2), "F32", rows)})
    assert TensorFile(tmp_path / "x.safetensors")["rows"].numpy().tolist() == [[0, 0], [1, -1], [2, -2]]


@pytest.mark.parametrize("data", [b"1234567", b"123456789"])
def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, data: bytes):
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"a": TensorView("a", (2,), "F32", memoryview(b"12345678"))})
    before = path.read_bytes()
    with pytest.raises(TensorFileError, match=r"'a'.*8 bytes, but \d were given"):
        write_tensors(path, {"a": TensorStream((2,), "F32", [data])})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name, dtype", [("", "F32"), ("a\0", "F32"), ("__metadata__", "F32"), ("a", "F31")])
def test_refuses_to_write_what_nobody_should_read(tmp_path: Path, name: str, dtype: str):
    with pytest.raises(TensorFileError):
        write_tensors(tmp_path / "x.safetensors", {name: TensorView(name, (1,), dtype, memoryview(b"1234"))})
    assert not list(tmp_path.iterdir())


@st.composite
def mutated_files(draw: st.DrawFn) -> bytes:
    """A valid file with one to three fields of its header, or bytes around it, replaced by something near the edge."""
    header = {
        "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
        "b": {"dtype": "BF16", "shape": [3], "data_offsets": [16, 22]},
        "c": {"dtype": "F32", "shape": [0, 3], "data_offsets": [22, 22]},
    }
    edge = st.sampled_from(
        [-1, 0, 1, 2, 3, 4, 6, 16, 22, 23, 2**31, 2**62, 2**63, 2**64 - 1, 2**64, 1.0, True, None, "2"]
    )
    for _ in range(draw(st.integers(0, 2))):
        entry = header[draw(st.sampled_from("abc"))]
        match draw(st.sampled_from(["dtype", "shape", "offset", "extra", "lose"])):
            case "dtype":
                entry["dtype"] = draw(st.sampled_from(["F16", "U8", "I64", "f32", "", None, 4]))
            case "shape":
                entry["shape"] = draw(st.lists(edge, max_size=3))
            case "offset":
                entry["data_offsets"] = draw(st.lists(edge, min_size=1, max_size=3))
            case "extra":
                entry["more"] = draw(edge)
            case "lose":
                entry.pop(draw(st.sampled_from(sorted(entry))), None)
    text = json.dumps(header).encode() + draw(st.sampled_from([b"", b"", b"  ", b"\0", b"x"]))
    length = len(text) + draw(st.sampled_from([0, 0, 0, 0, -1, 1, 2**40]))
    data = bytes(22 + draw(st.sampled_from([0, 0, 0, -1, 1, 8])))
    return length.to_bytes(8, "little") + text + data


@pytest.mark.slow
@settings(examples, max_examples=400)
@given(raw=mutated_files())
def test_is_at_least_as_strict_as_the_reference(tmp_path: Path, raw: bytes):
    path = tmp_path / "x.safetensors"
    path.write_bytes(raw)
    try:
        ours = {name: (view.dtype, view.shape, bytes(view.buffer)) for name, view in TensorFile(path).items()}
    except TensorFileError as error:
        assert str(path) in str(error)
        return
    assert ours == reference(raw)


@pytest.mark.slow
@settings(examples, max_examples=400)
@given(place=st.integers(0, 400), byte=st.integers(0, 255))
def test_one_changed_byte_gives_the_same_tensors_as_the_reference_or_an_error(tmp_path: Path, place: int, byte: int):
    raw = bytearray(
        safetensors.torch.save({"a": torch.arange(6.0).view(2, 3), "b": torch.ones(3), "c": torch.ones(())})
    )
    raw[place % len(raw)] = byte
    path = tmp_path / "x.safetensors"
    path.write_bytes(raw)
    try:
        ours = {name: (view.dtype, view.shape, bytes(view.buffer)) for name, view in TensorFile(path).items()}
    except TensorFileError:
        return
    theirs = {
        name: (t["dtype"], tuple(t["shape"]), bytes(t["data"])) for name, t in safetensors.deserialize(bytes(raw))
    }
    assert ours == theirs
