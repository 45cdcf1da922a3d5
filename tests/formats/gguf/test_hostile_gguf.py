"""GGUF files that lie about their tensors: refused by name, before memory is spent; no byte changed makes a crash."""

from __future__ import annotations

import random
import struct
import time
import tracemalloc
from pathlib import Path

import pytest

from gemsmith.errors import ModelFileError, TensorFileError
from gemsmith.formats.gguf import open_gguf
from gemsmith.formats.gguf.directory import read_file

F32, Q4_0, Q6_K = 0, 2, 14


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def info(name: str, dims: list[int], kind: int, offset: int) -> bytes:
    """One entry of the list of tensors."""
    return text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)


def file(*infos: bytes, count: int | None = None, alignment: int | None = None, data: int = 64) -> bytes:
    """A file with these entries and `data` bytes of tensors."""
    keys = b"" if alignment is None else text("general.alignment") + struct.pack("<II", 4, alignment)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(infos) if count is None else count, int(bool(keys)))
    head += keys + b"".join(infos)
    return head + bytes(-len(head) % (alignment or 32)) + bytes(data)


def refused(path: Path, data: bytes, *, peak_bytes: int = 1 << 20) -> str:
    path.write_bytes(data)
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(TensorFileError) as caught:
            read_file(path)
        assert tracemalloc.get_traced_memory()[1] < peak_bytes
        assert time.process_time() - began < 4  # tracing slows Python about four times
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_sound_file(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(file(info("a", [4, 2], F32, 0), info("b", [32, 1], Q4_0, 32), data=50))
    tensors = read_file(path).tensors
    assert [(name, view.shape, view.dtype, view.nbytes) for name, view in tensors.items()] == [
        ("a", (2, 4), "F32", 32),
        ("b", (1, 32), "Q4_0", 18),
    ]


LIES = {
    "unknown type": (file(info("a", [4], 99, 0)), "unknown type 99"),
    "type of no number": (file(info("a", [4], 2**32 - 1, 0)), "unknown type 4294967295"),
    "rank 0": (file(info("a", [], F32, 0)), "rank 0"),
    "rank 5": (file(info("a", [1] * 5, F32, 0)), "rank 5"),
    "rank of billions": (file(text("a") + struct.pack("<I", 2**32 - 1)), "rank 4294967295"),
    "no elements": (file(info("a", [0, 4], F32, 0)), r"shape [4, 0]"),
    "too many elements": (file(info("a", [2**32, 2**32], F32, 0)), "which no tensor has"),
    "elements that overflow to few": (file(info("a", [2**63, 2], F32, 0)), "which no tensor has"),
    "row of half a block": (file(info("a", [48], Q4_0, 0)), "rows of 48 numbers, but Q4_0 stores 32"),
    "beyond the end": (file(info("a", [17], F32, 0)), "it is cut short"),
    "offset beyond the end": (file(info("a", [4], F32, 2**63)), "must follow the one before"),
    "offset not aligned": (file(info("a", [4], F32, 0), info("b", [4], F32, 16)), "must follow"),
    "gap": (file(info("a", [4], F32, 32)), "must follow"),
    "overlap": (file(info("a", [4], F32, 0), info("b", [4], F32, 0)), "must follow"),
    "twice": (file(info("a", [4], F32, 0), info("a", [4], F32, 32)), "tensor a twice"),
    "empty name": (file(info("", [4], F32, 0)), "tensor name of 0 characters"),
    "long name": (file(info("x" * 5000, [4], F32, 0)), "tensor name of 5000"),
    "name with a terminal escape": (file(info("\x1b[2J", [4], F32, 0)), "tensor name"),
    "name that is not UTF-8": (file(struct.pack("<Q", 1) + b"\xff"), "not UTF-8"),
    "name longer than the file": (file(struct.pack("<Q", 2**62)), "claims"),
    "more tensors than entries": (file(info("a", [4], F32, 0), count=2, data=0), "claims"),
    "billions of tensors": (file(count=2**40), "lists 1,099,511,627,776 tensors"),
    "alignment 0": (file(alignment=0), "general.alignment 0"),
    "alignment of 3": (file(alignment=3), "general.alignment 3"),
    "alignment of gigabytes": (
        file()[:16] + struct.pack("<Q", 1) + text("general.alignment") + b"\4\0\0\0\0\0\0\x80",
        "alignment",
    ),
    "alignment past the end": (file(info("a", [4], F32, 0), alignment=4096)[:200], "it is cut short"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies(tmp_path: Path, lie: str) -> None:
    data, message = LIES[lie]
    assert message in refused(tmp_path / "x.gguf", data)


def test_a_terabyte_that_is_not_there(tmp_path: Path) -> None:
    assert "cut short" in refused(tmp_path / "x.gguf", file(info("a", [2**20, 2**18], Q6_K, 0)))


@pytest.mark.slow
def test_ten_thousand_entries_take_no_time(tmp_path: Path) -> None:
    infos = [info(f"t{i}", [8], F32, 32 * i) for i in range(10_000)]
    assert "cut short" in refused(tmp_path / "x.gguf", file(*infos), peak_bytes=64 << 20)


@pytest.mark.slow
def test_two_thousand_changed_files(tmp_path: Path) -> None:
    """Bytes changed, cut out, doubled or cut off anywhere before the weights: an error of ours, or a whole model."""
    from bench.gguf_writing import write_gguf
    from tests.formats.gguf.small import random_tensors, text_only, vocabulary

    name = "tiny-random-26b-a4b"
    small = vocabulary().__class__(
        source="",
        tokens=[f"t{i}" for i in range(60)],
        merges=["a b"],
        special=frozenset(),
        whole={},
        whole_normalized={},
    )
    path = write_gguf(tmp_path / "x.gguf", text_only(name), random_tensors(name), small, "Q8_0")
    sound = path.read_bytes()
    header = sound.index(b"blk.2.post_ffw_norm_2.weight") + 200
    outcomes = {True: 0, False: 0}
    for seed in range(2000):
        path.unlink()  # pages that an earlier look still holds stay as they were
        path.write_bytes(spoilt(sound, header, random.Random(seed)))
        try:
            checkpoint = open_gguf(path)
            outcomes[True] += bool(sum(view.numpy().size for view in checkpoint.values()) if seed % 50 == 0 else 1)
        except ModelFileError as error:
            assert str(path) in str(error), error
            outcomes[False] += 1
    assert min(outcomes.values()) > 100, outcomes


def spoilt(sound: bytes, header: int, choose: random.Random) -> bytes:
    """The file with one to four accidents in its header, more often in the structure than in long texts."""
    data = bytearray(sound)
    for _ in range(choose.choice((1, 1, 1, 2, 4))):
        if len(data) < 20:
            break
        at = choose.randrange(4, min(header, len(data) - 8))
        way = choose.randrange(6)
        if way <= 2:
            data[at] = choose.choice((0, 1, 255, data[at] ^ (1 << choose.randrange(8))))
        elif way == 3:
            value = choose.choice((0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1, choose.randrange(2**40)))
            data[at : at + 8] = value.to_bytes(8, "little")
        elif way == 4:
            size = choose.randrange(1, 40)
            data[at : at + size] = data[at : at + size] * choose.choice((0, 2))
        else:
            del data[choose.randrange(at, len(data)) :]
    return bytes(data)
